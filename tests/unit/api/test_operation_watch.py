"""Following enrollments: one question to the database for all who follow, however many they are."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from recon_service.api.app import create_app
from recon_service.api.operation_watch import OperationWatch
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.records.access import Scope
from recon_service.application.templates.subjects import delete_subject
from recon_service.domain.errors import StorageFault
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import ListQueue, ScriptedCompute


class Counted:
    """The database, and how often it was asked."""

    def __init__(self, real: Any) -> None:
        self.real, self.asked = real, 0

    @contextmanager
    def snapshot(self) -> Iterator[Any]:
        self.asked += 1
        with self.real.snapshot() as tx:
            yield tx

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def enrolled(service: Service, subject_id: str) -> str:
    wish = EnrollmentRequest(subject_id, (b"x",), "c")
    return request_enrollment(wish, on=service.stores, queue=ListQueue()).operation.operation_id


def test_fifty_who_follow_ask_as_often_as_one(fresh_service: Service) -> None:
    database = Counted(fresh_service.stores.database)
    stores = dataclasses.replace(fresh_service.stores, database=database)
    service = dataclasses.replace(fresh_service, stores=stores)
    running, gone = enrolled(service, "ada"), enrolled(service, "bob")
    headers = authorization(stores, Scope.ENROLL) | {"Accept": "text/event-stream"}

    async def scenario() -> None:
        app = create_app(service)
        watch: OperationWatch = app.state.operation_watch
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://test", timeout=60
        ) as client:
            names = [running] * 30 + [gone] * 20
            asked = [
                asyncio.ensure_future(client.get(f"/v1/operations/{name}", headers=headers)) for name in names
            ]
            while len(watch._waiting) < len(names):
                await asyncio.sleep(0.01)
            before = database.asked
            for _ in range(10):
                await asyncio.sleep(watch._poll_s)
            assert database.asked - before <= 12, "fifty streams, and a question per look"
            await asyncio.to_thread(
                run_enrollment,
                running,
                on=stores,
                compute=ScriptedCompute(),
                queue=ListQueue(),
                policy=JobPolicy(),
            )
            await asyncio.to_thread(delete_subject, "bob", on=stores)
            answers = [answer.text for answer in await asyncio.gather(*asked)]
        for text in answers[:30]:
            assert text.startswith("event: progress\n")
            assert "event: end\n" in text
        assert {text.rpartition("event: ")[2] for text in answers[30:]} == {"deleted\ndata: {}\n\n"}

    asyncio.run(asyncio.wait_for(scenario(), 90))


def test_who_follows_hears_of_a_fault_and_of_nothing_within_the_limit() -> None:
    known: dict[str, int] = {"a": 1}
    fault: list[Exception] = []

    def versions(names: object) -> dict[str, int]:
        if fault:
            raise fault[0]
        return dict(known)

    async def scenario() -> None:
        watch = OperationWatch(versions, poll_s=0.01)
        assert not await watch.changed("a", 1, limit_s=0.1)
        assert await watch.changed("a", 0, limit_s=30)
        assert await watch.changed("gone", 1, limit_s=30)
        fault.append(StorageFault("the database does not answer"))
        with pytest.raises(StorageFault):
            await watch.changed("a", 1, limit_s=30)
        fault.clear()
        following = asyncio.ensure_future(watch.changed("a", 1, limit_s=30))
        await asyncio.sleep(0.05)
        known["a"] = 2
        assert await following
        assert watch._waiting == {}

    asyncio.run(scenario())

"""Many requests of one caller that wait for a compute process, through the real application."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import httpx

from recon_service.api.app import create_app
from recon_service.api.compute_turns import OF_ONE_CALLER
from recon_service.api.service import Service
from recon_service.application.records.access import Scope
from recon_service.application.records.operations import SelfieReport
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import GOOD, ScriptedCompute


@dataclasses.dataclass
class Busy(ScriptedCompute):
    """Answers when it is told to."""

    go_on: threading.Event = dataclasses.field(default_factory=threading.Event)
    waiting: int = 0

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        self.waiting += 1
        assert self.go_on.wait(60)
        return (GOOD,) * len(selfies)


def test_one_caller_takes_no_more_than_its_share_and_the_others_are_served(fresh_service: Service) -> None:
    busy = Busy()
    service = dataclasses.replace(fresh_service, compute=busy)
    one, other = (authorization(service.stores, Scope.ENROLL, Scope.OPS) for _ in range(2))

    async def scenario() -> None:
        transport = httpx.ASGITransport(app=create_app(service), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:

            def check(key: dict[str, str]) -> Any:
                files = {"selfies": ("a.jpg", b"picture")}
                return asyncio.ensure_future(client.post("/v1/quality-checks", headers=key, files=files))

            asked = [check(one) for _ in range(50)]
            while sum(not answer.done() for answer in asked) > OF_ONE_CALLER:
                await asyncio.sleep(0.01)
            refused = [answer.result() for answer in asked if answer.done()]
            waiting = [answer for answer in asked if not answer.done()]
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.json()["type"] for answer in refused} == {"/problems/overloaded"}
            theirs = check(other)
            while busy.waiting < OF_ONE_CALLER + 1:
                await asyncio.sleep(0.01)
            assert (await client.get("/v1/subjects", headers=other)).status_code == 200
            busy.go_on.set()
            answers = await asyncio.gather(theirs, *waiting)
            assert [answer.status_code for answer in answers] == [200] * (OF_ONE_CALLER + 1)

    asyncio.run(asyncio.wait_for(scenario(), 90))

"""What one caller sends at a time, through the real application: it keeps nobody else out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.api.upload_memory import REQUESTS, UploadMemory
from recon_service.application.errors import Overloaded
from recon_service.application.records.access import Scope
from tests.unit.api.conftest import authorization

SIZE = 1900
HEAD = b'--x\r\nContent-Disposition: form-data; name="selfies"; filename="a"\r\n\r\n'
HEADERS = {"Content-Type": "multipart/form-data; boundary=x"}


@dataclasses.dataclass
class Callers:
    """Two keys, and uploads that stop before their end until they are let go on."""

    service: Service
    client: httpx.AsyncClient
    memory: UploadMemory
    go_on: asyncio.Event

    def __post_init__(self) -> None:
        self.one, self.other = (authorization(self.service.stores, Scope.ENROLL) for _ in range(2))

    def upload(self, key: dict[str, str]) -> Awaitable[httpx.Response]:
        async def body() -> AsyncIterator[bytes]:
            yield HEAD + bytes(SIZE)
            await self.go_on.wait()
            yield b"\r\n--x--\r\n"

        return asyncio.ensure_future(
            self.client.post("/v1/quality-checks", headers=HEADERS | key, content=body(), timeout=60)
        )

    async def until(self, held: int) -> None:
        while self.memory.held.total() != held:
            await asyncio.sleep(0.01)


def run(service: Service, scenario: Callable[[Callers], Awaitable[None]]) -> None:
    async def running() -> None:
        wanted = service.settings.model_copy(update={"upload_seconds": 50})
        app = create_app(dataclasses.replace(service, settings=wanted))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            callers = Callers(service, client, app.state.upload_memory, asyncio.Event())
            await asyncio.wait_for(scenario(callers), 60)

    asyncio.run(running())


def test_a_key_that_sends_much_at_a_time_is_asked_to_wait_and_others_are_served(service: Service) -> None:
    each = len(HEAD) + SIZE
    most = REQUESTS * service.settings.max_request_bytes // 2 // each

    async def scenario(callers: Callers) -> None:
        sent = [callers.upload(callers.one) for _ in range(most)]
        await callers.until(most * each)
        refused = await callers.upload(callers.one)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert callers.memory.held.total() == most * each, "what was refused is not held"

        others = [callers.upload(callers.other)]
        await callers.until((most + 1) * each)
        callers.go_on.set()
        answers = await asyncio.gather(*sent, *others)
        assert {a.json()["detail"] for a in answers} == {"this compute only reconstructs"}
        assert callers.memory.held == {}, "all is given back"
        assert (await callers.upload(callers.one)).json()["detail"] == "this compute only reconstructs"

    run(service, scenario)


def test_what_a_caller_who_went_away_had_sent_is_given_back(service: Service) -> None:
    async def scenario(callers: Callers) -> None:
        sent: Any = callers.upload(callers.one)
        await callers.until(len(HEAD) + SIZE)
        sent.cancel()
        await callers.until(0)

    run(service, scenario)


def test_all_callers_together_have_a_limit_too() -> None:
    memory = UploadMemory(100)
    memory.take(50, "a")
    with pytest.raises(Overloaded):
        memory.take(1, "a")
    memory.take(40, "b")
    with pytest.raises(Overloaded):
        memory.take(11, "c")
    memory.give_back(50, "a")
    memory.take(11, "c")
    assert dict(memory.held) == {"b": 40, "c": 11}

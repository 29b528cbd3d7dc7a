"""Asked to stop while it works: what was begun is answered, what was acknowledged is done."""

from __future__ import annotations

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import sqlalchemy as sa
from urllib3.filepost import encode_multipart_formdata

from recon_service.storage.tables import operations
from tests.integration.running import Server, eventually, portrait_jpeg, selfies, wait_for_end
from tests.stacks import STACKS, make_stack

IN_FLIGHT = 4


class SlowUpload:
    """A phone with a bad connection: half of the request is there, the rest is still to come."""

    def __init__(self, server: Server, subject: str) -> None:
        picture = portrait_jpeg("astronaut")
        body, kind = encode_multipart_formdata(
            [("selfies", ("a.jpg", picture, "image/jpeg")), ("consent_id", "c")]
        )
        head = (
            f"POST /v1/subjects/{subject}/enrollments HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {server.key}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._rest = body[len(body) // 2 :]
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self._socket.sendall(head.encode() + body[: len(body) // 2])

    def finish(self) -> int:
        """The status of the answer."""
        self._socket.sendall(self._rest)
        answer = b""
        while chunk := self._socket.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer:
                break
        self._socket.close()
        return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("name", STACKS)
def test_a_service_that_is_asked_to_stop_under_load_loses_nothing(
    name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with make_stack(name, request) as stack:
        state = tmp_path_factory.mktemp("shutdown") / "state"
        server = Server(state, stack.environment()).start()
        try:
            asked = begun_and_answered(server)
            assert server.process is not None
            assert server.process.wait(40) == 0, "stopped as asked"
            if server.crew:
                server.crew[0].wait_until_ready()
                assert server.crew[0].terminate() == 0
            server.start()
            with server.client() as client:
                ends = [wait_for_end(client, location, limit_s=90) for location in asked]
            assert {end["state"] for end in ends} == {"succeeded"}, ends
            with server.database() as db:
                rows = db.execute(sa.select(operations.c.operation_id, operations.c.attempts)).all()
            assert len(rows) == len(asked), "none lost, none made twice"
        finally:
            server.stop()


def lets_anybody_in(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def begun_and_answered(server: Server) -> list[str]:
    """Where the acknowledged enrollments are, of those sent around the signal; every request that was begun
    got a whole answer.
    """
    locations: list[str] = []
    with server.client() as client:
        for number in range(4):
            answer = client.post(
                f"/v1/subjects/before-{number}/enrollments",
                files=selfies(portrait_jpeg("astronaut")),
                data={"consent_id": "c"},
            )
            assert answer.status_code == 202
            locations.append(answer.headers["location"])
    slow = SlowUpload(server, "slow-phone")
    sent = threading.Barrier(IN_FLIGHT + 1)

    def check_quality(_number: int) -> int:
        with server.client() as client:
            client.get("/livez")  # the connection is there
            sent.wait(30)
            return client.post("/v1/quality-checks", files=selfies(portrait_jpeg("astronaut"))).status_code

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        answers = [pool.submit(check_quality, n) for n in range(IN_FLIGHT)]
        sent.wait(30)
        time.sleep(0.3)  # their requests are under way
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not lets_anybody_in(server)), "nobody new"
        assert slow.finish() == 202
        assert [a.result() for a in answers] == [200] * IN_FLIGHT
    with server.database() as db:
        found = db.scalars(
            sa.select(operations.c.operation_id).where(operations.c.subject_id == "slow-phone")
        ).all()
    assert len(found) == 1
    return [*locations, f"/v1/operations/{found[0]}"]

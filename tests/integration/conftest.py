"""One service per stack for all tests that only ask it something."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.running import Server
from tests.stacks import STACKS, make_stack


@pytest.fixture(scope="package", params=STACKS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with make_stack(request.param, request) as stack:
        running = Server(tmp_path_factory.mktemp("service") / "state", stack.environment()).start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made

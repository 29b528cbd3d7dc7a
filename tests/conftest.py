"""Shared by every test: where the mirror and the recorded cases are, and how Hypothesis runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:  # most tests need no server, and shall not load a client either
    from tests.servers.postgres import Postgres
    from tests.servers.redis_server import Redis
    from tests.servers.s3_server import S3
    from tests.stacks import Production, Stack

settings.register_profile(
    "recon",
    deadline=None,  # two shared cores: a slow example is not a failure
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "recon"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a fixture of their file run in one of the processes: others would make it again."""
    for item in items:
        # pytest has no public way to ask which fixtures a test gets.
        fixtures: dict[str, Sequence[pytest.FixtureDef[Any]]] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
        shared = any(each.scope == "module" for found in fixtures.values() for each in found)
        if shared and item.get_closest_marker("xdist_group") is None:
            file = item.nodeid.partition("::")[0].removesuffix(".py").replace("/", ".")
            item.add_marker(pytest.mark.xdist_group(file))


@pytest.fixture(scope="session")
def weights_mirror() -> Path:
    """The mirror folder of model files named by RECON_WEIGHTS_MIRROR."""
    value = os.environ.get("RECON_WEIGHTS_MIRROR", "")
    if not value:
        pytest.skip("RECON_WEIGHTS_MIRROR is unset: this test needs the mirror of model files")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip("RECON_WEIGHTS_MIRROR names a folder that does not exist")
    return folder


@pytest.fixture(scope="session")
def cases(weights_mirror: Path) -> Path:
    """The recorded captures, in the folder `cases` beside the mirror."""
    folder = weights_mirror.resolve().parent / "cases"
    if not folder.is_dir():
        pytest.skip(
            "there is no folder 'cases' beside RECON_WEIGHTS_MIRROR: this test needs the recorded captures"
        )
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started for the first test that asks. Missing, it is an error, never a skip."""
    from tests.servers.postgres import Postgres

    server = Postgres()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis server."""
    from tests.servers.redis_server import Redis

    server = Redis()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """An S3 server."""
    from tests.servers.s3_server import S3

    server = S3()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="session")
def production_stack(postgres: Postgres, redis_server: Redis, s3_server: S3) -> Production:
    """PostgreSQL, Redis and S3 together."""
    from tests.stacks import Production

    return Production(postgres, redis_server, s3_server)


@pytest.fixture(params=["embedded", "production"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The test runs twice: embedded, and on real servers."""
    from tests.stacks import make_stack

    with make_stack(request.param, request) as made:
        yield made

"""The two ways to run the service that every test of stored things holds for: embedded (SQLite, a folder, the
queue in memory) and production (PostgreSQL, S3, Redis).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recon_service.settings import Settings

if TYPE_CHECKING:
    from tests.servers.postgres import Postgres
    from tests.servers.redis_server import Redis
    from tests.servers.s3_server import S3

STACKS = ("embedded", "production")
MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


@dataclass
class Embedded:
    """Everything in a folder."""

    name: str = "embedded"

    def environment(self) -> dict[str, str]:
        """Settings of a new service, as environment variables."""
        return {}

    def close(self) -> None:
        """Nothing to remove: the folder is the test's."""


@dataclass
class Production:
    """Real servers: each environment has a database, a bucket and a Redis number of its own."""

    postgres: Postgres
    redis: Redis
    s3: S3
    name: str = "production"
    template: str = ""
    databases: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """Settings of a new service, as environment variables."""
        from tests.servers.s3_server import ACCESS_KEY, SECRET_KEY

        self.databases.append(self.postgres.make_database(self._migrated()))
        return {
            "RECON_DATABASE_URL": self.postgres.url(self.databases[-1]),
            "RECON_OBJECT_STORE": f"s3://{self.s3.make_bucket()}/recon",
            "RECON_S3_ENDPOINT": self.s3.endpoint,
            "RECON_S3_ACCESS_KEY": ACCESS_KEY,
            "RECON_S3_SECRET_KEY": SECRET_KEY,
            "RECON_BROKER_URL": self.redis.url(len(self.databases) % 16),
            "RECON_MASTER_KEY": MASTER_KEY,
            # Most tests send the same capture many times; those of the sessions ask for them.
            "RECON_KIOSK_SESSIONS": "optional",
        }

    def _migrated(self) -> str:
        # Migrations run once; every further database is a copy.
        if not self.template:
            from recon_service.storage.engines import open_engine
            from recon_service.storage.schema import migrate

            self.template = self.postgres.make_database()
            engine = open_engine(self.postgres.url(self.template))
            migrate(engine)
            engine.dispose()
        return self.template

    def close(self) -> None:
        """Drop what this stack made."""
        for name in self.databases:
            self.postgres.drop_database(name)
        self.databases.clear()


Stack = Embedded | Production


@contextmanager
def make_stack(name: str, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack by name; its servers start with the first that needs them."""
    if name == "embedded":
        yield Embedded()
        return
    production: Production = request.getfixturevalue("production_stack")
    try:
        yield production
    finally:
        production.close()


def settings_for(stack: Stack, state_dir: Path, **values: object) -> Settings:
    """Settings of a new service on this stack."""
    names = {name.removeprefix("RECON_").lower(): value for name, value in stack.environment().items()}
    return Settings.model_validate({**names, "state_dir": state_dir, **values})

"""The databases that the contracts are held to, and what their tests put into one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recon_service.application.ports.database import Database
from recon_service.application.records.operations import Claim, Operation, OperationState, StoredSelfies
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.templates import SealedTemplate
from recon_service.storage.database import SqlDatabase
from recon_service.storage.engines import open_engine
from recon_service.storage.schema import migrate
from tests.stacks import Production

NOW = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def sqlite(folder: Path) -> SqlDatabase:
    engine = open_engine(f"sqlite:///{folder / 'recon.sqlite3'}")
    migrate(engine)
    return SqlDatabase(engine)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlDatabase]:
    if request.param == "sqlite":
        made = sqlite(tmp_path)
        yield made
        made.close()
        return
    production: Production = request.getfixturevalue("production_stack")
    made = SqlDatabase(open_engine(production.environment()["RECON_DATABASE_URL"]))
    yield made
    made.close()
    production.close()


def operation(number: int = 1, subject: str = "ada") -> Operation:
    return Operation(
        f"op_{number}", subject, OperationState.QUEUED, "c", False, NOW + timedelta(seconds=number), NOW
    )


def template(number: int = 1, made_by: int = 1, subject: str = "ada") -> SealedTemplate:
    moment = NOW + timedelta(seconds=number)
    return SealedTemplate(
        f"tpl_{number}", subject, f"op_{made_by}", "m", "s", "c", 50.0, moment, b"\x00sealed"
    )


def with_subject(database: Database, subject: str = "ada", operations: int = 1) -> None:
    with database.transaction() as tx:
        tx.subjects.add(WrappedKey(f"key_{subject}", subject, "master", b"\x01wrapped"), now=NOW)
        for n in range(1, operations + 1):
            tx.operations.add(operation(n, subject), [StoredSelfies(f"op_{n}", 0, f"selfies/op_{n}/0")])


def claim(
    database: Database, operation_id: str = "op_1", *, token: str = "t", stale: datetime = LONG_AGO
) -> Claim | None:
    with database.transaction() as tx:
        return tx.operations.claim(operation_id, token=token, now=NOW, stale_before=stale)

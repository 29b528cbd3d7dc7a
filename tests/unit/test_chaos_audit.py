"""The audit of `make chaos` finds what it is there to find: each promise is broken once, by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.application.ports.stores import Stores
from recon_service.application.templates.subjects import delete_subject
from recon_service.bootstrap import OpenStores, open_stores
from recon_service.settings import Settings
from recon_service.storage.engines import open_engine
from tests.chaos.audit import Found, audit
from tests.chaos.ledger import Ledger
from tests.references import enroll

Break = Callable[[sa.Connection, Stores, Ledger], object]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


@pytest.fixture
def opened(settings: Settings) -> Iterator[OpenStores]:
    made = open_stores(settings)
    yield made
    made.close()


def promised(stores: Stores) -> Ledger:
    """Three who are enrolled and one who is deleted."""
    ledger = Ledger()
    for number in range(4):
        made = enroll(f"s{number}", np.full(5, float(number)), stores)
        ledger.acknowledged[f"s{number}"] = f"/v1/operations/{made.operation_id}"
        ledger.ends[f"/v1/operations/{made.operation_id}"] = "succeeded"
    delete_subject("s3", on=stores)
    ledger.deleted.add("s3")
    return ledger


def looked(ledger: Ledger, opened: OpenStores, settings: Settings) -> Found:
    engine = open_engine(settings.resolved_database_url)
    try:
        return audit(ledger, engine, opened.stores)
    finally:
        engine.dispose()


def faults(found: Found) -> dict[str, int]:
    names = ("lost", "twice", "orphans", "back", "changed", "unreadable")
    told = {name: getattr(found, name) for name in names} | {"log": int(not found.log_intact)}
    return {name: count for name, count in told.items() if count}


def test_kept_promises_are_no_finding(opened: OpenStores, settings: Settings) -> None:
    found = looked(promised(opened.stores), opened, settings)
    assert faults(found) == {}
    assert found.states == {"succeeded": 3}


def sql(statement: str) -> Break:
    return lambda connection, _stores, _ledger: connection.execute(sa.text(statement))


BROKEN: dict[str, tuple[set[str], Break]] = {
    "an operation is gone": (
        {"lost", "changed"},
        sql("DELETE FROM operations WHERE subject_id = 's0'"),
    ),
    "an operation never ended": (
        {"lost", "changed"},
        sql("UPDATE operations SET state = 'running' WHERE subject_id = 's0'"),
    ),
    "an end became another one": (
        {"changed"},
        sql("UPDATE operations SET state = 'rejected' WHERE subject_id = 's0'"),
    ),
    "a template is gone": ({"twice", "unreadable"}, sql("DELETE FROM templates WHERE subject_id = 's0'")),
    "a template is not in force": (
        {"unreadable"},
        sql("UPDATE templates SET state = 'retired' WHERE subject_id = 's0'"),
    ),
    "a template does not open": (
        {"unreadable"},
        sql(
            "UPDATE templates SET sealed = (SELECT sealed FROM templates WHERE subject_id = 's1') "
            "WHERE subject_id = 's0'"
        ),
    ),
    "an object belongs to nobody": ({"orphans"}, lambda _c, stores, _l: stores.objects.put("stray/x", b"x")),
    "a name of an object is left": (
        {"orphans"},
        sql("INSERT INTO loose_objects (object_key, doomed, since) VALUES ('selfies/a/b', 1, 0)"),
    ),
    "somebody came back": ({"back"}, lambda _c, _s, ledger: ledger.deleted.add("s0")),
    "a promise that nobody kept": (
        {"lost"},
        lambda _c, _s, ledger: ledger.acknowledged.update(s9="/v1/operations/op_nothing"),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_promise_is_found(opened: OpenStores, settings: Settings, what: str) -> None:
    ledger = promised(opened.stores)
    expected, broken = BROKEN[what]
    engine = open_engine(settings.resolved_database_url)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("PRAGMA defer_foreign_keys = ON"))
        broken(connection, opened.stores, ledger)
    engine.dispose()
    assert expected <= set(faults(looked(ledger, opened, settings)))

"""The audit log: complete, chained, and every way to tamper with it is found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping import audit
from recon_service.application.keeping.audit import (
    operation_digest,
    record_alone,
    subject_digest,
    verify_audit,
)
from recon_service.application.keeping.audit_ends import accept_end, check_audit, note_end, noted_end
from recon_service.application.keeping.keys import create_api_key, revoke_api_key
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import Scope
from recon_service.application.templates.subjects import delete_subject
from recon_service.bootstrap import OpenStores
from recon_service.domain.errors import InvalidValue, ReconError, StorageFault
from recon_service.storage.append_only import unprotect
from recon_service.storage.tables import metadata
from tests.stacks import Stack
from tests.unit.application.stores import ListQueue, ScriptedCompute, open_in


@pytest.fixture
def opened(tmp_path: Path, stack: Stack) -> Iterator[OpenStores]:
    made = open_in(tmp_path / "state", stack)
    yield made
    made.close()


def fill(stores: Stores, count: int = 6) -> None:
    for number in range(count):
        record_alone(on=stores, action="test", actor="a", subject_id=f"s{number}", outcome=f"o{number}")


def test_what_is_done_is_in_the_log_and_names_nobody(opened: OpenStores) -> None:
    stores, queue = opened.stores, ListQueue()
    made = create_api_key("app", [Scope.ENROLL], on=stores, actor="command-line").key.key_id
    request = EnrollmentRequest("ada-lovelace", (b"selfie-bytes",), "consent-1", api_key_id=made)
    operation = request_enrollment(request, on=stores, queue=queue).operation.operation_id
    run_enrollment(operation, on=stores, compute=ScriptedCompute(), queue=queue, policy=JobPolicy())
    receipt = delete_subject("ada-lovelace", on=stores, actor=made)
    revoke_api_key(made, on=stores)
    with stores.database.snapshot() as tx:
        entries = list(tx.audit.entries())
        of_ada = [e.action for e in tx.audit.entries(subject=subject_digest("ada-lovelace", on=stores))]
    name = operation_digest(operation, on=stores)
    assert [(e.action, e.actor, e.object_id, e.outcome) for e in entries] == [
        ("api-key.made", "command-line", made, "enroll"),
        ("enrollment.asked", made, name, ""),
        ("enrollment.ended", "service", name, "succeeded"),
        ("subject.deleted", made, receipt.receipt_id, ""),
        ("api-key.revoked", "service", made, ""),
    ]
    assert of_ada == ["enrollment.asked", "enrollment.ended", "subject.deleted"], "found after the deletion"
    for told in ("ada", operation, "consent-1"):
        assert not re.search(rf"\b{told}\b", repr(entries))
    assert "selfie-bytes" not in repr(entries)
    verdict = verify_audit(on=stores)
    assert (verdict.entries, verdict.broken, verdict.head.sequence) == (5, None, 5)


def test_what_is_rolled_back_leaves_no_entry(opened: OpenStores) -> None:
    with suppress(InvalidValue), opened.stores.database.transaction():
        fill(opened.stores, 0)
        raise InvalidValue("x")
    fill(opened.stores, 2)
    assert verify_audit(on=opened.stores).entries == 2


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'b'", "DELETE FROM audit_log"])
def test_the_database_itself_refuses_changes(opened: OpenStores, statement: str) -> None:
    fill(opened.stores)
    with pytest.raises(ReconError), opened.database.transaction() as tx:
        tx._connection.execute(sa.text(statement))
    assert verify_audit(on=opened.stores).entries == 6


TAMPERED = {
    "an altered field": ("UPDATE audit_log SET actor = 'b' WHERE sequence = 3", 3),
    "an altered digest": ("UPDATE audit_log SET digest = 'x' WHERE sequence = 4", 4),
    "another time": ("UPDATE audit_log SET at = '2020-01-01 00:00:00' WHERE sequence = 2", 2),
    "a removed row": ("DELETE FROM audit_log WHERE sequence = 5", 5),
    "a removed start": ("DELETE FROM audit_log WHERE sequence = 1", 1),
    "a removed end": ("DELETE FROM audit_log WHERE sequence = 6", 6),
    "everything removed": ("DELETE FROM audit_log", 1),
    "a removed end and head": ("DELETE FROM audit_head", 7),
    "a row put elsewhere": ("UPDATE audit_log SET sequence = 9 WHERE sequence = 2", 2),
    "an inserted row": (
        "INSERT INTO audit_log SELECT 7, at, actor, action, subject, object_id, outcome, digest "
        "FROM audit_log WHERE sequence = 6",
        7,
    ),
}


def test_tampering_is_found_at_the_first_broken_row(opened: OpenStores) -> None:
    fill(opened.stores)
    engine = opened.database.engine
    with engine.begin() as connection:
        unprotect("audit_log", lambda s: connection.execute(sa.text(s)), connection.dialect.name)
        tables = (metadata.tables["audit_log"], metadata.tables["audit_head"])
        intact = {t: [dict(r._mapping) for r in connection.execute(sa.select(t))] for t in tables}
    found = {}
    for name, (statement, _) in TAMPERED.items():
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
        found[name] = verify_audit(on=opened.stores).broken
        with engine.begin() as connection:
            for table, rows in intact.items():
                connection.execute(sa.delete(table))
                connection.execute(sa.insert(table), rows)
        assert verify_audit(on=opened.stores).broken is None
    assert found == {name: broken for name, (_, broken) in TAMPERED.items()}


def test_a_log_that_was_set_back_as_a_whole_is_found_by_the_noted_end(opened: OpenStores) -> None:
    stores = opened.stores
    fill(stores, 3)
    early = verify_audit(on=stores).head
    fill(stores, 3)
    noted = verify_audit(on=stores).head
    assert verify_audit(on=stores, ends=[early]).broken is None
    with opened.database.engine.begin() as connection:
        dialect = connection.dialect.name
        unprotect("audit_log", lambda s: connection.execute(sa.text(s)), dialect)
        connection.execute(sa.text("DELETE FROM audit_log WHERE sequence > 3"))
        connection.execute(
            sa.text("UPDATE audit_head SET sequence = 3, digest = :digest"), {"digest": early.digest}
        )
    assert verify_audit(on=stores).broken is None, "nothing within the database can tell"
    assert verify_audit(on=stores, ends=[noted]).broken == 4
    fill(stores, 5)
    assert verify_audit(on=stores, ends=[noted]).broken == 6, "going on does not hide it"


def test_a_log_that_was_cut_off_with_its_end_is_found_by_the_service_itself(opened: OpenStores) -> None:
    stores = opened.stores
    assert note_end(on=stores) is None, "an empty log has no end to note"
    fill(stores, 3)
    early = verify_audit(on=stores).head
    assert note_end(on=stores) is None
    fill(stores, 3)
    assert note_end(on=stores) is None
    late = verify_audit(on=stores).head
    assert noted_end(on=stores) == late
    assert len(list(stores.objects.list_keys("audit-ends/"))) == 1
    stores.objects.put("audit-ends/000000000000099", b'{"digest": "0", "authentication": "0"}')
    stores.objects.put("audit-ends/rubbish", b"no json")
    assert noted_end(on=stores) == late, "forged notes count for nothing"
    assert check_audit(on=stores).broken is None

    with opened.database.engine.begin() as connection:
        dialect = connection.dialect.name
        unprotect("audit_log", lambda s: connection.execute(sa.text(s)), dialect)
        connection.execute(sa.text("DELETE FROM audit_log WHERE sequence > 3"))
        connection.execute(
            sa.text("UPDATE audit_head SET sequence = 3, digest = :digest"), {"digest": early.digest}
        )
    assert verify_audit(on=stores).broken is None, "nothing within the database can tell"
    assert check_audit(on=stores).broken == 4
    assert note_end(on=stores) == late, "it is told, and not noted away"
    fill(stores, 5)
    assert check_audit(on=stores).broken == 6, "going on does not hide it"
    assert note_end(on=stores) == late

    accept_end(actor="ops", on=stores)
    assert check_audit(on=stores).broken is None
    with stores.database.snapshot() as tx:
        (*_, last) = tx.audit.entries()
    assert (last.action, last.actor, last.outcome) == ("audit.end-accepted", "ops", "noted 6")
    assert noted_end(on=stores) == verify_audit(on=stores).head


def test_where_the_object_store_does_not_answer_the_chain_is_checked_all_the_same(
    opened: OpenStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(opened.stores)

    def refuse(_prefix: str = "") -> list[str]:
        raise StorageFault("the store does not answer")

    monkeypatch.setattr(opened.stores.objects, "list_keys", refuse)
    assert check_audit(on=opened.stores).broken is None


def test_a_long_log_is_checked_in_pieces_and_says_how_far(
    opened: OpenStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores, heard = opened.stores, []
    fill(stores, 7)
    monkeypatch.setattr(audit, "LOOKED_AT", 3)

    def progress(done: int, total: int) -> None:
        heard.append((done, total))
        if len(heard) == 1:
            fill(stores, 1)  # somebody goes on meanwhile

    verdict = verify_audit(on=stores, progress=progress)
    assert (verdict.entries, verdict.broken) == (8, None)
    assert heard == [(3, 7), (6, 8)]


def test_the_newest_entries_about_somebody(opened: OpenStores) -> None:
    stores = opened.stores
    for number in range(5):
        record_alone(on=stores, action="test", actor="a", subject_id=f"s{number % 2}", outcome=str(number))
    with stores.database.snapshot() as tx:
        digest = subject_digest("s0", on=stores)
        assert [e.outcome for e in tx.audit.newest(digest, limit=2)] == ["4", "2"]
        assert [e.outcome for e in tx.audit.newest(digest, limit=9)] == ["4", "2", "0"]
        assert tx.audit.newest("nobody", limit=9) == []

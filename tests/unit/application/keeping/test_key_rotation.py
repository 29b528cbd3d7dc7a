"""Another master key while the service runs; and deletions that a restore does not undo."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.housekeeping import Retention
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.keeping.key_rotation import rotate_master_key
from recon_service.application.keeping.keys import authenticate, create_api_key, revoke_api_key
from recon_service.application.keeping.revocations import reapply_revocations
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import Scope
from recon_service.application.templates.restores import reapply_deletions, stored_receipts
from recon_service.application.templates.subjects import delete_subject, list_templates, load_template
from recon_service.application.templates.tombstones import (
    export_tombstones,
    is_ours,
    receipt_json,
    receipt_of_json,
)
from recon_service.bootstrap import open_stores
from recon_service.domain.errors import InsecureConfiguration, NotFound, StorageFault, Unauthenticated
from recon_service.settings import Settings
from recon_service.storage.master_key import parse_master_key
from recon_service.storage.tables import metadata
from recon_service.storage.vault import SubjectVault
from tests.stacks import Stack, settings_for
from tests.unit.application.stores import ListQueue, ScriptedCompute
from worker.app import make_app
from worker.housekeeper import Housekeeper
from worker.queue import CeleryQueue

OLD = base64.b64encode(bytes(range(32))).decode()
NEW = base64.b64encode(bytes(range(100, 132))).decode()


@pytest.fixture
def settings(tmp_path: Path, stack: Stack) -> Settings:
    made = settings_for(stack, tmp_path / "state").model_dump()
    return Settings.model_validate({**made, "master_key": OLD})


def with_keys(settings: Settings, current: str, *accepted: str) -> Settings:
    secret = {"master_key": current, "accepted_master_keys": ",".join(accepted) or None}
    return Settings.model_validate({**settings.model_dump(), **secret})


def enroll(subject_id: str, stores: Stores) -> None:
    queue = ListQueue()
    made = request_enrollment(EnrollmentRequest(subject_id, (b"x",), "c"), on=stores, queue=queue)
    run_enrollment(
        made.operation.operation_id, on=stores, compute=ScriptedCompute(), queue=queue, policy=JobPolicy()
    )


def test_from_one_master_key_to_the_next_without_downtime(settings: Settings) -> None:
    before = open_stores(settings)
    for number in range(7):
        enroll(f"s{number}", before.stores)
    receipt = delete_subject("s6", on=before.stores)
    # Every process learns of the new key before any of them wraps with it.
    aware = open_stores(with_keys(settings, OLD, NEW))
    after = open_stores(with_keys(settings, NEW, OLD))
    enroll("late", aware.stores)
    enroll("new", after.stores)
    assert load_template("new", None, on=aware.stores).subject_id == "new"
    done = rotate_master_key(on=after.stores, actor="test", batch=2)
    assert (done.rewrapped, done.done) == (8, True), "seven subjects and the secret of the digests"
    again = rotate_master_key(on=after.stores, actor="test")
    assert (again.rewrapped, again.done) == (0, True)
    for opened in (aware, after, open_stores(with_keys(settings, NEW))):
        for subject_id in ("s0", "s5", "late", "new"):
            assert load_template(subject_id, None, on=opened.stores).subject_id == subject_id
        assert is_ours(receipt, on=opened.stores), "receipts outlive the key"
        assert verify_audit(on=opened.stores).broken is None
        opened.close()
    with pytest.raises(StorageFault, match="another master key"):
        load_template("s0", None, on=before.stores)
    with pytest.raises(StorageFault, match="another master key"):
        open_stores(settings)
    before.close()


def test_a_rotation_that_lacks_the_old_key_changes_nothing(settings: Settings) -> None:
    before = open_stores(settings)
    enroll("ada", before.stores)
    with pytest.raises(StorageFault):
        open_stores(with_keys(settings, NEW))
    stranger = replace(before.stores, vault=SubjectVault(parse_master_key(NEW, "test")))
    with pytest.raises(InsecureConfiguration, match="2 keys"):
        rotate_master_key(on=stranger, actor="test")
    assert load_template("ada", None, on=before.stores).subject_id == "ada"
    before.close()


def test_killed_in_the_middle_it_goes_on(settings: Settings) -> None:
    opened = open_stores(settings)
    many = 300
    with opened.stores.database.transaction() as tx:
        for number in range(many):
            tx.subjects.add(opened.stores.vault.new_key(f"s{number:03}"), now=opened.stores.clock())
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RECON_")},
        **{
            f"RECON_{name.upper()}": str(
                value.get_secret_value() if hasattr(value, "get_secret_value") else value
            )
            for name, value in with_keys(settings, NEW, OLD)
            if value is not None
            and name in settings.model_fields_set | {"master_key", "accepted_master_keys"}
            and value != type(settings).model_fields[name].default
        },
    }
    arguments = [sys.executable, "-m", "recon_service", "keys", "rotate-master", "--batch", "1"]
    process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while wrapped_by_new(opened.stores) < 5 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, process.communicate()
    reached = wrapped_by_new(opened.stores)
    assert 5 <= reached < many + 1
    halfway = open_stores(with_keys(settings, OLD, NEW))
    with halfway.stores.database.snapshot() as tx:
        keys = [tx.subjects.key(f"s{n:03}") for n in range(many)]
    for key in keys:
        assert key is not None
        halfway.stores.vault.cipher(key)  # everything opens in the middle of it
    halfway.close()
    rest = subprocess.run(
        [*arguments[:-1], "100"], env=environment, capture_output=True, check=True, text=True
    )
    assert rest.stdout.strip() == f"{many + 1 - reached} keys wrapped anew, 0 remaining"
    opened.close()


def wrapped_by_new(stores: Stores) -> int:
    with stores.database.snapshot() as tx:
        counts = tx.wrapped_keys.count_by_master()
    return sum(n for name, n in counts.items() if name != stores.vault.master_key_id)


def backed_up(stores: Stores, engine: sa.Engine) -> dict[str, list[dict[str, object]]]:
    """The rows of every table that a deletion or a revocation touches."""
    names = ("subjects", "subject_keys", "operations", "templates", "deletion_receipts", "api_keys")
    with engine.connect() as connection:
        return {
            name: [dict(r._mapping) for r in connection.execute(sa.select(metadata.tables[name]))]
            for name in names
        }


def restore(engine: sa.Engine, backup: dict[str, list[dict[str, object]]]) -> None:
    with engine.begin() as connection:
        for name in reversed(backup):
            connection.execute(sa.delete(metadata.tables[name]))
        for name, rows in backup.items():
            if rows:
                connection.execute(sa.insert(metadata.tables[name]), rows)


def test_a_restore_does_not_bring_the_deleted_back(settings: Settings) -> None:
    opened = open_stores(settings)
    stores, engine = opened.stores, opened.database.engine
    for subject_id in ("ada", "bob", "eve"):
        enroll(subject_id, stores)
    backup = backed_up(stores, engine)
    delete_subject("ada", on=stores)
    kept_elsewhere = receipt_json(delete_subject("eve", on=stores))
    enroll("eve", stores)  # came back of her own will, after the deletion
    returned = backed_up(stores, engine)

    restore(engine, backup)
    assert list_templates("ada", on=stores), "a restore alone does bring her back"
    done = reapply_deletions(stored_receipts(on=stores), actor="test", on=stores)
    assert (done.receipts, done.refused, done.deleted) == (2, 0, 2)
    for subject_id in ("ada", "eve"):
        with pytest.raises(NotFound):
            list_templates(subject_id, on=stores)
    assert list_templates("bob", on=stores)
    assert reapply_deletions(stored_receipts(on=stores), actor="test", on=stores).receipts == 0

    restore(engine, returned)
    reapply_deletions([receipt_of_json(kept_elsewhere)], actor="test", on=stores)
    assert list_templates("eve", on=stores), "a new enrollment is not touched by an old receipt"
    opened.close()


def test_a_clock_that_was_put_back_before_a_deletion_brings_nobody_back(settings: Settings) -> None:
    opened = open_stores(settings)
    stores, engine = opened.stores, opened.database.engine
    enroll("ada", stores)
    backup = backed_up(stores, engine)
    hours_ago = replace(stores, clock=lambda: stores.clock() - timedelta(hours=3))
    kept = receipt_json(delete_subject("ada", on=hours_ago))
    enroll("ada", hours_ago)  # of her own will, while the clock is still wrong
    reapply_deletions([receipt_of_json(kept)], actor="test", on=stores)
    assert list_templates("ada", on=stores), "a deletion that this database knows is done"

    restore(engine, backup)
    assert reapply_deletions(stored_receipts(on=stores), actor="test", on=stores).deleted == 1
    with pytest.raises(NotFound):
        list_templates("ada", on=stores)
    opened.close()


def test_of_several_deletions_none_is_looked_at_twice(settings: Settings) -> None:
    opened = open_stores(settings)
    stores, engine = opened.stores, opened.database.engine
    enroll("ada", stores)
    backup = backed_up(stores, engine)
    for _ in range(3):
        delete_subject("ada", on=stores)
        enroll("ada", stores)
    restore(engine, backup)
    done = reapply_deletions(stored_receipts(on=stores), actor="test", on=stores)
    assert (done.receipts, done.deleted) == (3, 1)
    assert reapply_deletions(stored_receipts(on=stores), actor="test", on=stores).receipts == 0
    opened.close()


def test_a_restore_does_not_make_a_revoked_key_good_again(settings: Settings) -> None:
    opened = open_stores(settings)
    stores, engine = opened.stores, opened.database.engine
    stolen, mine, early = (create_api_key(name, [Scope.VERIFY], on=stores) for name in "abc")
    revoke_api_key(early.key.key_id, on=stores)
    backup = backed_up(stores, engine)
    revoke_api_key(stolen.key.key_id, on=stores)
    restore(engine, backup)
    assert authenticate(stolen.token, on=stores, allow_development=False), "a restore alone does"
    stores.objects.put(f"revocations/{mine.key.key_id}", b'{"authentication": "0"}')
    stores.objects.put("revocations/nobody", b"no json")

    keeper = keeper_of(settings, stores)
    keeper.start()
    keeper.stop()
    for key in (stolen, early):
        with pytest.raises(Unauthenticated):
            authenticate(key.token, on=stores, allow_development=False)
    assert authenticate(mine.token, on=stores, allow_development=False), "forged notes revoke nothing"
    with stores.database.snapshot() as tx:
        (*_, entry) = tx.audit.entries(action="api-key.revoked")
    assert (entry.object_id, entry.actor, entry.outcome) == (stolen.key.key_id, "service", "reapplied")
    assert reapply_revocations(on=stores) == 0
    opened.close()


def test_a_revocation_that_could_not_be_noted_is_noted_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_stores(settings)
    stores, engine = opened.stores, opened.database.engine
    key = create_api_key("kiosk", [Scope.VERIFY], on=stores)
    backup = backed_up(stores, engine)

    def refuse(*_: object) -> None:
        raise StorageFault("the store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(type(stores.objects), "put", refuse)
        revoke_api_key(key.key.key_id, on=stores)
    assert reapply_revocations(on=stores) == 0
    restore(engine, backup)
    assert reapply_revocations(on=stores) == 1
    opened.close()


def test_notes_that_cannot_be_listed_keep_no_deletion_from_being_done_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy of the bucket that was written before there were notes."""
    opened = open_stores(settings)
    stores = opened.stores
    enroll("ada", stores)
    backup = backed_up(stores, opened.database.engine)
    delete_subject("ada", on=stores)
    restore(opened.database.engine, backup)
    listed = stores.objects.list_keys

    def refuse(prefix: str = "") -> Iterator[str]:
        if prefix.startswith("revocations"):
            raise StorageFault("the object store refuses the service (AccessDenied)")
        return listed(prefix)

    monkeypatch.setattr(stores.objects, "list_keys", refuse)
    keeper = keeper_of(settings, stores)
    keeper.start()
    keeper.stop()
    with pytest.raises(NotFound):
        list_templates("ada", on=stores)
    opened.close()


def keeper_of(settings: Settings, stores: Stores) -> Housekeeper:
    retention = Retention(dead=timedelta(hours=1))
    return Housekeeper(
        stores, CeleryQueue(make_app(settings)), JobPolicy(), sweep_s=60.0, retention=retention
    )


def test_when_the_object_store_is_set_back_too_the_receipts_that_were_kept_do_it(settings: Settings) -> None:
    opened = open_stores(settings)
    stores, engine = opened.stores, opened.database.engine
    enroll("ada", stores)
    backup = backed_up(stores, engine)
    receipt = delete_subject("ada", on=stores)
    restore(engine, backup)
    for key in list(stores.objects.list_keys("tombstones/")):
        stores.objects.delete(key)
    forged = [
        replace(receipt, deleted_at=receipt.deleted_at + timedelta(days=1)),
        replace(receipt, authentication="0" * 64),
        replace(receipt, subject_digest=stores.vault.digest("subject", b"bob")),
    ]
    done = reapply_deletions(forged, actor="test", on=stores)
    assert (done.refused, done.deleted) == (3, 0)
    assert list_templates("ada", on=stores)
    as_answered = json.loads(receipt_json(receipt)) | {"subject_id": "ada"}
    kept = receipt_of_json(json.dumps(as_answered).replace("+00:00", "Z"))
    assert reapply_deletions([kept], actor="test", on=stores).deleted == 1
    opened.close()


def test_a_tombstone_that_could_not_be_written_follows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_stores(settings)
    enroll("ada", opened.stores)

    def refuse(*_: object) -> None:
        raise StorageFault("the store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(type(opened.stores.objects), "put", refuse)
        delete_subject("ada", on=opened.stores)
    assert list(opened.stores.objects.list_keys("tombstones/")) == []
    assert export_tombstones(on=opened.stores) == 1
    assert export_tombstones(on=opened.stores) == 0
    assert len(list(opened.stores.objects.list_keys("tombstones/"))) == 1
    opened.close()


def test_a_start_deletes_again_before_it_serves(settings: Settings) -> None:
    opened = open_stores(settings)
    enroll("ada", opened.stores)
    backup = backed_up(opened.stores, opened.database.engine)
    delete_subject("ada", on=opened.stores)
    restore(opened.database.engine, backup)
    keeper = keeper_of(settings, opened.stores)
    keeper.start()
    with pytest.raises(NotFound):
        list_templates("ada", on=opened.stores)
    keeper.stop()
    opened.close()

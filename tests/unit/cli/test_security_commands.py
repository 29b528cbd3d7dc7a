"""`recon audit`, `recon limits` and `recon subjects` on an embedded state folder."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.keys import create_api_key, revoke_api_key
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import FailureKind, Scope
from recon_service.application.templates.subjects import delete_subject
from recon_service.application.templates.tombstones import receipt_json
from recon_service.bootstrap import open_stores
from recon_service.cli.main import build_app
from recon_service.settings import Settings, known_names
from recon_service.storage.append_only import unprotect
from tests.unit.application.stores import ListQueue


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECON_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def recon(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(arguments), list(arguments))
    return result.exit_code, result.output


def test_show_and_verify_and_a_broken_entry_is_named(state: Path) -> None:
    opened = open_stores(Settings(state_dir=state))
    request_enrollment(EnrollmentRequest("ada", (b"x",), "c"), on=opened.stores, queue=ListQueue())
    assert recon("keys", "create", "kiosk", "--scope", "verify")[0] == 0
    shown = [json.loads(line) for line in recon("audit", "show", "--json")[1].splitlines()]
    assert [(e["action"], e["actor"]) for e in shown] == [
        ("enrollment.asked", "service"),
        ("api-key.made", "command-line"),
    ]
    of_ada = recon("audit", "show", "--subject", "ada")[1]
    assert "enrollment.asked" in of_ada
    assert "api-key.made" not in of_ada
    assert not re.search(r"\bada\b", of_ada), "it is named by a digest alone"
    code, output = recon("audit", "verify")
    assert (code, output.startswith("2 entries, unbroken; end 2:")) == (0, True)
    end = output.split()[-1]
    assert recon("audit", "verify", "--since", end)[0] == 0
    assert recon("audit", "verify", "--since", "2:0000")[0] == 1
    assert recon("audit", "verify", "--since", "nonsense")[0] == 2
    with opened.database.engine.begin() as connection:
        unprotect("audit_log", lambda s: connection.execute(sa.text(s)), "sqlite")
        connection.execute(sa.text("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 1"))
    opened.close()
    code, output = recon("audit", "verify")
    assert code == 1
    assert "entry 1 was altered" in output


def test_a_lock_out_is_shown_and_lifted(state: Path) -> None:
    assert recon("limits", "show")[1].strip() == "none"
    opened = open_stores(Settings(state_dir=state))
    with opened.stores.database.transaction() as tx:
        counter = tx.limits.failures(FailureKind.API_KEY, "0a1b2c", now=utc_now())
        until = utc_now() + timedelta(minutes=5)
        tx.limits.set_failures(replace(counter, failures=100, locked_until=until))
    opened.close()
    (shown,) = json.loads(recon("limits", "show", "--json")[1])
    assert (shown["kind"], shown["name"], shown["failures"]) == ("api-key", "0a1b2c", 100)
    assert recon("limits", "lift")[0] == 2
    assert recon("limits", "lift", "--key", "0a1b2c")[0] == 0
    assert recon("limits", "show")[1].strip() == "none"
    assert "lock-out.lifted" in recon("audit", "show")[1]


def test_receipts_from_a_file_delete_again_and_revoked_keys_are_revoked_again(
    state: Path, tmp_path: Path
) -> None:
    opened = open_stores(Settings(state_dir=state))
    request_enrollment(EnrollmentRequest("ada", (b"x",), "c"), on=opened.stores, queue=ListQueue())
    key = create_api_key("kiosk", [Scope.VERIFY], on=opened.stores).key
    backup = sqlite3.connect(tmp_path / "backup.sqlite3")
    with sqlite3.connect(state / "recon.sqlite3") as there:
        there.backup(backup)
    receipt = delete_subject("ada", on=opened.stores)
    revoke_api_key(key.key_id, on=opened.stores)
    file = tmp_path / "receipts.jsonl"
    file.write_text(receipt_json(receipt) + "\n\n")
    # The tombstones are lost too; the receipt was kept.
    opened.stores.objects.delete(*opened.stores.objects.list_keys("tombstones/"))
    opened.close()
    with sqlite3.connect(state / "recon.sqlite3") as there:
        backup.backup(there)

    code, output = recon("subjects", "reapply-deletions", str(file), "--json")
    done = {"receipts": 1, "refused": 0, "deleted": 1, "api_keys_revoked": 1, "withdrawn": 0}
    assert (code, json.loads(output)) == (0, done)
    again = json.loads(recon("subjects", "reapply-deletions", str(file), "--json")[1])
    assert (again["deleted"], again["api_keys_revoked"]) == (0, 0)
    file.write_text("{}\n")
    assert recon("subjects", "reapply-deletions", str(file))[0] == 1

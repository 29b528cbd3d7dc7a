"""`recon operations` and `recon doctor` on an embedded state folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.operations import OperationState, Problem
from recon_service.bootstrap import open_stores
from recon_service.cli.main import build_app
from recon_service.domain.errors import ReconError
from recon_service.setting_names import SettingsInvalid
from recon_service.settings import Settings, known_names
from tests.unit.application.stores import ListQueue


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in known_names():
        if "WEIGHTS" not in name:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RECON_MODEL", "builtin")
    return tmp_path / "state"


def recon(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build_app(arguments), list(arguments))
    return result.exit_code, result.output


def dead_operation(state: Path, subject: str = "ada") -> str:
    opened = open_stores(Settings(state_dir=state))
    wanted = EnrollmentRequest(subject, (b"x",), "c")
    made = request_enrollment(wanted, on=opened.stores, queue=ListQueue()).operation.operation_id
    with opened.stores.database.transaction() as tx:
        claim = tx.operations.claim(made, token="t", now=utc_now(), stale_before=utc_now())
        assert claim is not None
        problem = Problem("fit-failed", "It did not converge.")
        tx.operations.finish(claim, state=OperationState.FAILED, now=utc_now(), problem=problem, dead=True)
    opened.close()
    return made


def test_dead_retry_and_status(state: Path) -> None:
    assert recon("operations", "dead")[1].strip() == "none"
    made = dead_operation(state)
    (listed,) = json.loads(recon("operations", "dead", "--json")[1])
    assert (listed["operation"], listed["code"], listed["attempts"]) == (made, "fit-failed", 1)
    assert json.loads(recon("operations", "status", "--json")[1])["dead"] == 1
    assert recon("operations", "retry")[0] == 2
    assert recon("operations", "retry", made)[0] == 0
    status = json.loads(recon("operations", "status", "--json")[1])
    assert status["dead"] == 0
    assert (status["lanes"][0]["waiting"], status["lanes"][0]["unpublished"]) == (1, 1)
    assert recon("operations", "retry", "--all")[0] == 0
    assert "interactive" in recon("operations", "status")[1]


def test_all_are_more_than_a_list_holds_and_one_that_cannot_stops_no_other(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("recon_service.application.enrolling.operations", "recon_service.cli.operations"):
        monkeypatch.setattr(f"{module}.MAX_LISTED", 2)
    for number in range(5):
        dead_operation(state, f"ada-{number}")
    made = dead_operation(state, "bea")
    code, said = recon("operations", "retry", "op_" + 32 * "0", made)
    assert (code, "1 waiting again" in said, "no such operation" in said) == (1, True, True)
    assert "2 or more" in recon("operations", "status")[1]
    assert "5 waiting again" in recon("operations", "retry", "--all")[1]
    assert json.loads(recon("operations", "status", "--json")[1])["dead"] == 0


def test_doctor_says_what_works() -> None:
    code, output = recon("doctor", "--json")
    parts = {part["part"]: part["ok"] for part in json.loads(output)}
    assert code == 0
    assert parts == dict.fromkeys(
        (
            *("connections", "database", "master key", "objects", "broker"),
            *("models", "detector", "policy", "appearance", "matching"),
        ),
        True,
    )


def test_doctor_connects_to_nothing_in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_BROKER_URL", "redis://:a-secret@redis.example/0")
    code, output = recon("doctor")
    assert code == 1
    assert "RECON_ALLOW_INSECURE_CONNECTIONS" in output
    assert "a-secret" not in output
    assert "database" not in output


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("POLICY", "payment-1", "policy-unsupported"),
        ("POLICY", "nope", "invalid-value"),
        ("APPEARANCE", "nope", "weights-unknown"),
    ],
)
def test_what_every_compute_process_would_refuse_keeps_the_service_from_starting(
    name: str, value: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"RECON_{name}", value)
    status, output = recon("doctor")
    assert status == 1
    assert f"[{code}]" in output
    command = build_app(["serve"])
    refused = CliRunner().invoke(command, ["serve", "--port", "0"]).exception
    assert isinstance(refused, ReconError)
    assert refused.code == code


def test_files_for_tls_that_cannot_be_read_are_told_before_anything_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for file in ("absent.pem", "no.pem"):
        for name in ("CERTIFICATE", "KEY"):
            monkeypatch.setenv(f"RECON_TLS_{name}_FILE", str(tmp_path / file))
        refused = CliRunner().invoke(build_app(["serve"]), ["serve", "--port", "0"])
        assert isinstance(refused.exception, SettingsInvalid)
        assert "RECON_TLS_KEY_FILE" in refused.exception.next_step
        assert "Listening" not in refused.output


def test_a_database_that_does_not_answer_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_DATABASE_URL", "postgresql://recon:secret@127.0.0.1:1/recon")
    code, output = recon("doctor")
    assert code == 1
    assert output.count("does not answer") == 1
    assert "correct RECON_DATABASE_URL" in output
    assert "secret" not in output


def test_doctor_names_what_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_BROKER_URL", "redis://127.0.0.1:1/0")
    code, output = recon("doctor")
    assert code == 1
    assert "storage-unavailable" in output
    assert "correct RECON_BROKER_URL" in output

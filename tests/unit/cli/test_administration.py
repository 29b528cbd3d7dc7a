"""Keys, audit log and subjects through a running service."""

from __future__ import annotations

import json
from pathlib import Path

from recon_service.application.keeping.keys import list_api_keys
from recon_service.application.records.access import Scope
from tests.unit.application.enrollments_support import ask, run
from tests.unit.cli.serving import serving


def test_keys(tmp_path: Path) -> None:
    with serving(tmp_path / "state", scopes=(Scope.OPS, Scope.VERIFY)) as service:
        code, out = service.recon("keys", "create", "kiosk 12", "--scope", "verify", "--json")
        assert code == 0
        made = json.loads(out)
        assert made["scopes"] == ["verify"]
        assert service.recon("keys", "create", "app", "--scope", "enroll")[0] == 2, "more than it has itself"
        listed = json.loads(service.recon("keys", "list", "--json")[1])
        assert [k["name"] for k in listed] == ["test", "kiosk 12"]
        assert made["token"] not in json.dumps(listed)
        assert service.recon("keys", "revoke", made["id"])[0] == 0
        assert service.recon("keys", "revoke", made["id"])[0] == 2
        (_, revoked) = list_api_keys(on=service.stores)
        assert revoked.revoked_at is not None
        assert "revoked" in service.recon("keys", "list")[1]


def test_the_audit_log_is_read_in_pages_and_checked(tmp_path: Path) -> None:
    with serving(tmp_path / "state") as service:
        for n in range(3):
            run(service.stores, ask(service.stores, subject=f"s{n}"))
        code, out = service.recon("audit", "show", "--json")
        entries = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert [e["sequence"] for e in entries] == list(range(1, len(entries) + 1))
        answer = service.recon("audit", "show", "--subject", "s1", "--action", "enrollment.ended")[1]
        assert answer.count("\n") == 1
        code, out = service.recon("audit", "verify", "--json")
        verdict = json.loads(out)
        assert (code, verdict["broken"], verdict["entries"]) == (0, None, len(entries))
        assert service.recon("audit", "verify", "--since", verdict["end"])[0] == 0
        assert service.recon("audit", "verify", "--since", f"1:{'0' * 64}")[0] == 1


def test_subjects_are_listed_and_deleted(tmp_path: Path) -> None:
    with serving(tmp_path / "state") as service:
        for n in range(3):
            run(service.stores, ask(service.stores, subject=f"s{n}"))
        assert service.recon("subjects", "list") == (0, "s0\ns1\ns2\n")
        code, out = service.recon("subjects", "delete", "s1", "--yes")
        assert code == 0
        assert json.loads(out)["templates"] == 1
        assert service.recon("subjects", "list")[1] == "s0\ns2\n"
        assert service.recon("subjects", "delete", "s0")[0] == 1, "nobody said yes"
        assert service.recon("subjects", "delete", "s1", "--yes")[0] == 2

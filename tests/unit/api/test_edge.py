"""Edge mode from end to end, over HTTP and on both stacks: register, bundle, decide, report, revoke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import recon_service.edge.kiosk as kiosk_module
from recon_service.api.app import create_app
from recon_service.api.schemas_edge import KIOSK, REVOCATIONS, TAKEN, KioskBody, RevocationsBody, TakenBody
from recon_service.api.service import Service
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import Probe
from recon_service.application.edge.bundles import EdgeIssuer
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.edge import EdgeTerms
from recon_service.application.templates.subjects import delete_subject, load_template
from recon_service.comparison.calibration_file import save_calibration
from recon_service.domain.template import ComparisonScore, Decision, VerificationResult
from recon_service.edge import BundleNotForThisKiosk, EdgeKiosk, KioskKeys, SubjectNotInBundle, SubjectRevoked
from recon_service.edge.format import HpkeEdgeFormat
from tests.references import MODES, SPACE, enroll, outcome, small_calibration
from tests.unit.api.conftest import authorization

TERMS = EdgeTerms("pilot-1", 3.0, 0.0, ("shape",), ("appearance",), 1, True, evidence=True)


@dataclass
class Lobby:
    """A service with edge mode, one registered kiosk in its lobby, and the way between them."""

    service: Service
    folder: Path
    site: str = "lobby"

    def __post_init__(self) -> None:
        calibration = save_calibration(small_calibration(), self.folder)
        files = (self.folder / "small.toml").read_bytes(), (self.folder / "small.npz").read_bytes()
        issuer = EdgeIssuer(
            TERMS, files, calibration.identity, SPACE, "model", timedelta(hours=1), HpkeEdgeFormat()
        )
        self.moment = utc_now()
        self.stores = replace(self.service.stores, clock=lambda: self.moment)
        self.client = TestClient(create_app(replace(self.service, stores=self.stores, edge=issuer)))
        self.ops = authorization(self.stores, Scope.OPS)
        self.verify = authorization(self.stores, Scope.VERIFY)
        self.keys, self.kiosk_id, self.trusted = self.registered("keys")
        EdgeKiosk.set_up(self.folder / "edge", self.keys)

    def registered(self, name: str) -> tuple[KioskKeys, str, str]:
        keys = KioskKeys.generate(self.folder / name)
        body = {"recipient": keys.recipient, "signing": keys.signing}
        answer = self.client.post(f"/v1/sites/{self.site}/kiosks", headers=self.ops, json=body)
        assert answer.status_code == 201
        return keys, answer.json()["kiosk_id"], answer.json()["service"]

    def kiosk(self) -> EdgeKiosk:
        pipeline = FacePipeline(None, None, None, None, small_calibration())  # type: ignore[arg-type]
        return EdgeKiosk(
            self.folder / "edge",
            self.keys,
            trusted=self.trusted,
            pipeline=pipeline,
            clock=lambda: self.moment,
        )

    def add(self, subject_id: str) -> int:
        address = f"/v1/sites/{self.site}/subjects/{subject_id}"
        return self.client.put(address, headers=self.ops).status_code

    def revocations(self) -> dict[str, Any]:
        answer = self.client.get(f"/v1/sites/{self.site}/revocations", headers=self.verify)
        assert answer.status_code == 200
        return dict(answer.json())

    def reports(self, reports: Sequence[dict[str, Any]]) -> int:
        answer = self.client.post("/v1/edge-reports", headers=self.verify, json={"reports": list(reports)})
        assert answer.status_code == 200, answer.json()
        return int(answer.json()["last"])

    def bundle(self, kiosk_id: str = "") -> bytes:
        asked = {"kiosk_id": kiosk_id or self.kiosk_id}
        answer = self.client.post(f"/v1/sites/{self.site}/bundles", headers=self.verify, json=asked)
        assert answer.status_code == 200
        return answer.content


@pytest.fixture
def lobby(fresh_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lobby:
    def verified(
        _frames: Any, reference: Any, _pipeline: Any, policy: Any
    ) -> tuple[Probe, VerificationResult]:
        """The camera's part: everybody matches."""
        score = ComparisonScore(4.0, reference.source, "kinect2", "small")
        result = VerificationResult(Decision.MATCH, score, (), policy.name, frames_used=1)
        return Probe(outcome(np.ones(MODES)).posterior, (), "kinect2"), result

    monkeypatch.setattr(kiosk_module, "verified_probe", verified)
    (tmp_path / "kiosk").mkdir()
    return Lobby(fresh_service, tmp_path / "kiosk")


def test_a_kiosk_decides_alone_and_tells_afterward(lobby: Lobby) -> None:
    for name in ("ada", "bob", "eve"):
        enroll(name, np.ones(MODES), lobby.stores)
    assert [lobby.add(name) for name in ("ada", "bob", "ada")] == [204, 204, 204]
    assert lobby.add("nobody") == 404
    kiosk = lobby.kiosk()
    assert kiosk.install(lobby.bundle()).head.templates == 2
    kiosk.verify_offline("ada", ())
    lobby.moment += timedelta(minutes=5)
    kiosk.verify_offline("bob", ())
    with pytest.raises(SubjectNotInBundle):
        kiosk.verify_offline("eve", ())
    lobby.moment += timedelta(minutes=5)
    assert kiosk.synchronize(lobby) == 2
    with lobby.stores.database.snapshot() as tx:
        told = list(tx.audit.entries(action="edge.verification"))
        key = tx.subjects.key("ada")
    made_at = (lobby.moment - timedelta(minutes=10)).isoformat(timespec="seconds")
    assert [entry.outcome.split()[0] for entry in told] == ["MATCH", "MATCH"]
    assert told[0].outcome.split()[1] == made_at, "the time of the decision, not of the report"
    assert {entry.actor for entry in told} == {lobby.kiosk_id}
    assert verify_audit(on=lobby.stores).broken is None
    assert key is not None


def test_a_report_counts_once_and_none_can_be_left_out(lobby: Lobby) -> None:
    enroll("ada", np.ones(MODES), lobby.stores)
    lobby.add("ada")
    kiosk = lobby.kiosk()
    kiosk.install(lobby.bundle())
    sent: list[dict[str, Any]] = []

    class Listening:
        revocations, bundle = lobby.revocations, lobby.bundle

        def reports(self, reports: Sequence[dict[str, Any]]) -> int:
            sent.extend(reports)
            return 0

    for _ in range(3):
        kiosk.verify_offline("ada", ())
    kiosk.synchronize(Listening())  # type: ignore[arg-type]
    assert len(sent) == 3
    assert lobby.reports(sent[:1]) == 1
    assert lobby.reports(sent[:1]) == 1
    without_one = lobby.client.post("/v1/edge-reports", headers=lobby.verify, json={"reports": sent[2:]})
    assert (without_one.status_code, without_one.json()["type"]) == (409, "/problems/edge-reports-forked")
    assert lobby.reports(sent) == 3
    assert kiosk.synchronize(lobby) == 3
    with lobby.stores.database.snapshot() as tx:
        assert len(list(tx.audit.entries(action="edge.verification"))) == 3
    forged = {**sent[0], "sequence": 4, "before": "0" * 64}
    refused = lobby.client.post("/v1/edge-reports", headers=lobby.verify, json={"reports": [forged]})
    assert refused.status_code == 403
    broken = {**sent[0], "sealed": "!"}
    assert (
        lobby.client.post("/v1/edge-reports", headers=lobby.verify, json={"reports": [broken]}).status_code
        == 422
    )


@pytest.mark.parametrize("how", ["deleted", "enrolled anew", "taken from the site"])
def test_who_is_gone_is_revoked_at_the_next_contact(lobby: Lobby, how: str) -> None:
    for name in ("ada", "bob"):
        enroll(name, np.ones(MODES), lobby.stores)
        lobby.add(name)
    kiosk = lobby.kiosk()
    kiosk.install(lobby.bundle())
    old = load_template("ada", None, on=lobby.stores).template_id
    kiosk.verify_offline("ada", ())
    if how == "deleted":
        delete_subject("ada", on=lobby.stores)
    elif how == "enrolled anew":
        enroll("ada", np.zeros(MODES), lobby.stores)
    else:
        gone = lobby.client.delete("/v1/sites/lobby/subjects/ada", headers=lobby.ops)
        assert gone.status_code == 204
    lobby.moment += timedelta(minutes=1)
    assert old in lobby.revocations()["statement"]
    kiosk.synchronize(lobby, bundle_too=False)
    with pytest.raises(SubjectRevoked):
        kiosk.verify_offline("ada", ())
    kiosk.verify_offline("bob", ())
    lobby.moment += timedelta(minutes=1)
    kiosk.synchronize(lobby)
    if how == "enrolled anew":
        kiosk.verify_offline("ada", ())
    else:
        with pytest.raises(SubjectNotInBundle):
            kiosk.verify_offline("ada", ())
    lobby.moment += timedelta(hours=2)
    assert '"template_ids": []' in lobby.revocations()["statement"], "no bundle is left that holds it"


def test_what_a_kiosk_saw_goes_with_its_subject(lobby: Lobby) -> None:
    enroll("somebody", np.ones(MODES), lobby.stores)
    lobby.add("somebody")
    kiosk = lobby.kiosk()
    kiosk.install(lobby.bundle())
    kiosk.verify_offline("somebody", ())
    kiosk.synchronize(lobby)
    with lobby.stores.database.transaction() as tx:
        assert evidence(tx) == 1
    delete_subject("somebody", on=lobby.stores)
    kiosk.verify_offline("somebody", ())
    lobby.moment += timedelta(minutes=1)
    kiosk.synchronize(lobby)
    with lobby.stores.database.transaction() as tx:
        assert evidence(tx) == 0, (
            "a report about somebody who is gone leaves nothing but its entry in the log"
        )


def evidence(tx: Any) -> int:
    rows = tx.subjects._connection.exec_driver_sql("SELECT count(*) FROM edge_evidence")
    return int(rows.scalar() or 0)


def test_a_revoked_kiosk_and_a_stranger_get_nothing(lobby: Lobby) -> None:
    enroll("ada", np.ones(MODES), lobby.stores)
    lobby.add("ada")
    _, other_id, _ = lobby.registered("other-keys")
    kiosk = lobby.kiosk()
    with pytest.raises(BundleNotForThisKiosk):
        kiosk.install(lobby.bundle(other_id))
    kiosk.install(lobby.bundle())
    kiosk.verify_offline("ada", ())
    address = f"/v1/sites/lobby/kiosks/{lobby.kiosk_id}"
    assert lobby.client.delete(address, headers=lobby.ops).status_code == 204
    asked = {"kiosk_id": lobby.kiosk_id}
    refused = lobby.client.post("/v1/sites/lobby/bundles", headers=lobby.verify, json=asked)
    assert refused.status_code == 403
    assert kiosk.synchronize(lobby, bundle_too=False) == 1, "what it decided until then is still taken"
    elsewhere = lobby.client.post("/v1/sites/vault/bundles", headers=lobby.verify, json=asked)
    assert elsewhere.status_code == 404
    strange = {"recipient": "x25519:AAAA", "signing": "ed25519:AAAA"}
    assert lobby.client.post("/v1/sites/lobby/kiosks", headers=lobby.ops, json=strange).status_code == 422


def test_without_its_setting_no_bundle_is_made(lobby: Lobby, fresh_service: Service) -> None:
    client = TestClient(create_app(replace(fresh_service, stores=lobby.stores)))
    asked = {"kiosk_id": lobby.kiosk_id}
    answer = client.post("/v1/sites/lobby/bundles", headers=lobby.verify, json=asked)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/edge-off")
    assert "RECON_EDGE_POLICY" in answer.json()["next_step"]


def test_the_examples_fit() -> None:
    for schema, example in ((KioskBody, KIOSK), (RevocationsBody, REVOCATIONS), (TakenBody, TAKEN)):
        assert set(schema.model_validate(example).model_dump()) == set(example)

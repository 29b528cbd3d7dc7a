"""Searches among all through the real application, on both stacks: recorded requests, and a key that tries
faces until one is somebody's.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import FailureKind, Scope
from recon_service.application.records.identifications import ObservedVisit
from recon_service.application.records.visits import KioskVisit
from recon_service.application.searching.identification import Identifier
from recon_service.application.searching.reference_feed import ReferencesNotReady
from recon_service.application.verifying.lockouts import locked_out
from recon_service.comparison.identification_policy import IdentificationPolicy
from recon_service.domain.errors import DepthRejected
from recon_service.domain.kiosk_proof import capture_proof, capture_statement
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationMeasure, PresentationResult
from recon_service.search.memory_index import MemoryIndex
from tests.integration.running import eventually
from tests.references import MODES, SPACE, enroll, small_calibration
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import ScriptedCompute

INTRINSICS = json.dumps({"width": 4, "height": 4, "fx": 4.0, "fy": 4.0, "cx": 1.5, "cy": 1.5})
MASK = PresentationResult((PresentationMeasure("flat", 0.1, "mm", 4.0, 0.02, "Show yourself."),))
_frames = itertools.count()


def frames(who: str) -> tuple[bytes, ...]:
    """What a sensor gives: never the same bytes twice."""
    return (f"{who} {next(_frames)}".encode(),)


@dataclass
class Sees(ScriptedCompute):
    """By the first word of the first frame; counts what was looked at."""

    looked: int = 0

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        who = visit.depth[0].split()[0].decode()
        if who == "broken":
            raise DepthRejected("no depth map")
        self.looked += 1
        # Shapes this far from everybody's are like nobody.
        mean = np.ones(MODES) * {"ada": 1.0}.get(who, -30.0)
        posterior = IdentityPosterior(SPACE, mean, 0.1 * np.eye(MODES))
        return ObservedVisit(
            None if who == "dark" else posterior,
            "kinect2",
            1,
            (("no-face", "hint"),) if who == "dark" else (),
            MASK if who == "mask" else PresentationResult(()),
            None,
            "small",
            {},
        )


def ready(index: MemoryIndex) -> bool:
    try:
        index.check()
    except ReferencesNotReady:
        return False
    return True


@dataclass
class Kiosk:
    """A kiosk that searches, with a key of its own. limit: searches that name nobody until it may not."""

    service: Service
    sessions: str = "required"
    limit: int = 3

    def __post_init__(self) -> None:
        self.moment, self.compute, calibration = utc_now(), Sees(), small_calibration()
        self.stores = dataclasses.replace(self.service.stores, clock=lambda: self.moment)
        enroll("ada", np.ones(MODES), self.stores)
        policy = IdentificationPolicy("lenient", false_positives=0.5, list_above=0.0)
        settings = self.service.settings.model_copy(
            update={
                "kiosk_sessions": self.sessions,
                "lockout_identification_failures": self.limit,
                "lockout_key_failures": 2,
            }
        )
        index = MemoryIndex(self.stores, calibration)
        index.start()
        assert eventually(lambda: ready(index)), "searches while it loads are refused"
        self.service = dataclasses.replace(
            self.service,
            settings=settings,
            stores=self.stores,
            compute=self.compute,
            identifier=Identifier(index, calibration, policy),
        )
        self.client = TestClient(create_app(self.service), raise_server_exceptions=False)
        self.key = authorization(self.stores, Scope.IDENTIFY)
        self.key_id = self.key["Authorization"].split("_")[1]

    def open(self, subject: str | None = None) -> dict[str, Any]:
        answer = self.client.post("/v1/kiosk-sessions", json={"subject_id": subject}, headers=self.key)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def request(self, shown: tuple[bytes, ...], session: dict[str, Any] | None = None) -> dict[str, Any]:
        """As somebody could record it on its way."""
        session = session or self.open()
        statement = capture_statement(
            session_id=session["session_id"], subject_id="", depth=shown, images=(), intrinsics=INTRINSICS
        )
        proof = capture_proof(session["nonce"], statement)
        proven = {"Kiosk-Session": session["session_id"], "Kiosk-Proof": proof}
        return self.plain(shown) | {"headers": self.key | proven}

    def plain(self, shown: tuple[bytes, ...]) -> dict[str, Any]:
        """Without a session."""
        return {
            "url": "/v1/identifications",
            "headers": self.key,
            "files": [*(("depth", ("d", f)) for f in shown), ("intrinsics", (None, INTRINSICS))],
        }

    def send(self, request: dict[str, Any]) -> tuple[int, str]:
        answer = self.client.post(**request)
        body = answer.json()
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 900
        return answer.status_code, body.get("decision") or body["type"].removeprefix("/problems/")

    def visit(self, who: str) -> tuple[int, str]:
        return self.send(self.request(frames(who)))

    def audited(self, action: str) -> list[Any]:
        with self.stores.database.snapshot() as tx:
            return list(tx.audit.entries(action=action))


FOUND, NOBODY = (200, "CANDIDATES"), (200, "NO_CANDIDATE")
USED, OVER, LOCKED = (409, "nonce-used"), (409, "kiosk-session-invalid"), (429, "locked-out")


def test_a_search_needs_a_session_and_its_recording_is_worth_nothing(fresh_service: Service) -> None:
    kiosk = Kiosk(fresh_service)
    assert kiosk.send(kiosk.plain(frames("ada"))) == (428, "kiosk-session-required")
    recorded = kiosk.request(shown := frames("ada"))
    assert kiosk.send(recorded) == FOUND
    assert kiosk.send(recorded) == OVER
    assert kiosk.send(kiosk.request(shown)) == (409, "capture-replayed"), "nor are its frames"
    changed = kiosk.request(shown := frames("ada"))
    assert kiosk.send(changed | {"files": kiosk.plain(frames("ada"))["files"]}) == (
        403,
        "kiosk-proof-invalid",
    )
    undecided = kiosk.request(frames("dark"))
    assert [kiosk.send(undecided) for _ in range(2)] == [(200, "INCONCLUSIVE"), USED]
    bound = kiosk.open("ada")
    assert kiosk.send(kiosk.request(frames("ada"), bound)) == OVER, "a session for one is not for a search"
    assert kiosk.compute.looked == 2
    refused = [e.outcome for e in kiosk.audited("identification.refused")]
    assert Counter(refused) == {
        "kiosk-session-invalid": 2,
        "capture-replayed": 1,
        "kiosk-proof-invalid": 1,
        "nonce-used": 1,
    }
    sessions = {e.object_id for e in kiosk.audited("kiosk-session.opened")}
    assert {e.object_id for e in kiosk.audited("identification")} < sessions
    assert verify_audit(on=kiosk.stores).broken is None


def test_searches_that_name_nobody_lock_the_key_and_nothing_else(fresh_service: Service) -> None:
    kiosk = Kiosk(fresh_service)
    for _ in range(5):
        assert kiosk.visit("ada") == FOUND, "who is found does not count"
        assert kiosk.visit("broken") == (422, "depth-rejected"), "nor what cannot be read"
    assert [kiosk.visit(who) for who in ("stranger", "dark", "mask")] == [
        NOBODY,
        (200, "INCONCLUSIVE"),
        (200, "PRESENTATION_ATTACK"),
    ]
    looked = kiosk.compute.looked
    assert kiosk.visit("ada") == LOCKED
    assert kiosk.compute.looked == looked
    (counter,) = locked_out(on=kiosk.stores)
    assert (counter.kind, counter.name) == (FailureKind.IDENTIFICATION, kiosk.key_id), "verifications go on"
    (told,) = kiosk.audited("lock-out")
    assert (told.object_id, told.outcome) == (kiosk.key_id, "identification")
    ops = authorization(kiosk.stores, Scope.OPS)
    path = f"/v1/api-keys/{kiosk.key_id}/lock-out"
    assert kiosk.client.delete(path, headers=ops).status_code == 204
    assert kiosk.client.delete(path, headers=ops).status_code == 404
    assert kiosk.visit("ada") == FOUND
    for _ in range(3):
        kiosk.visit("stranger")
    assert kiosk.visit("ada") == LOCKED
    kiosk.moment += timedelta(seconds=901)
    assert kiosk.visit("ada") == FOUND


@pytest.mark.parametrize(("limit", "looked"), [(3, 3), (0, 12)])
def test_searches_at_one_moment_get_no_more_looks(fresh_service: Service, limit: int, looked: int) -> None:
    kiosk = Kiosk(fresh_service, sessions="optional", limit=limit)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: kiosk.send(kiosk.plain(frames("stranger"))), range(12)))
    assert kiosk.compute.looked == looked
    assert (answers.count(NOBODY), answers.count(LOCKED)) == (looked, 12 - looked)

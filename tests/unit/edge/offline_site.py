"""A site with a kiosk and a service that it sometimes reaches, and bundles of two people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import Probe
from recon_service.application.records.edge import BundleContents, BundleHead, EdgeTerms, Revocations
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import ComparisonScore, Decision, Provenance, Template, VerificationResult
from recon_service.edge import EdgeKiosk, KioskKeys, open_bundle, write_bundle
from recon_service.edge.sealing import public_of
from recon_service.edge.state import EdgeState
from recon_service.edge.statements import write_revocations
from recon_service.formats.signing import Ed25519Signer
from tests.references import MODES, SPACE, small_calibration

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SERVICE = Ed25519Signer(bytes(32))
REPORTS = X25519PrivateKey.from_private_bytes(b"r" * 32)
KEYS = KioskKeys.from_secret(bytes(range(64)))
TERMS = EdgeTerms("pilot-1", 3.0, 0.0, ("shape",), ("appearance",), 1, True, most_failures=2, evidence=True)
POSTERIOR = IdentityPosterior(SPACE, np.ones(MODES), 0.1 * np.eye(MODES))


def template(subject_id: str) -> Template:
    seen = Provenance("selfies-photometric/visible", "facemesh", NOW)
    return Template(
        f"tpl_{subject_id}", subject_id, POSTERIOR, seen.source, "model", "small", (seen,), 80.0, NOW
    )


def head(**changes: Any) -> BundleHead:
    plain = BundleHead(
        bundle_id="bnd_1",
        site="lobby",
        kiosk_id="kiosk_1",
        serial=1,
        made_at=NOW,
        expires_at=NOW + timedelta(hours=12),
        recipient=KEYS.recipient,
        reports_to=public_of(REPORTS),
        model="model",
        calibration="small",
        templates=2,
    )
    return replace(plain, **changes)


@dataclass
class Clock:
    now: datetime = NOW + timedelta(minutes=10)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Site:
    """A kiosk, and a service that it sometimes reaches. The camera's part is played: what a visit gives is
    decided here, what becomes of it there.
    """

    folder: Path
    contents: BundleContents
    clock: Clock = field(default_factory=Clock)
    decision: Decision = Decision.MATCH
    told: list[str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    revoked: frozenset[str] = frozenset()
    most: int = 10**6
    serial: int = 1

    def __post_init__(self) -> None:
        EdgeKiosk.set_up(self.folder, KEYS)

    def kiosk(self) -> EdgeKiosk:
        pipeline = FacePipeline(None, None, None, None, small_calibration())  # type: ignore[arg-type]
        return EdgeKiosk(self.folder, KEYS, trusted=SERVICE.public, pipeline=pipeline, clock=self.clock)

    def with_bundle(self, **changes: Any) -> EdgeKiosk:
        kiosk = self.kiosk()
        kiosk.install(write_bundle(head(**changes), self.contents, signer=SERVICE))
        return kiosk

    def verified(
        self, frames: Sequence[DepthFrame], reference: Template, pipeline: FacePipeline, policy: Any
    ) -> tuple[Probe, VerificationResult]:
        assert pipeline.calibration.digest, "the calibration is the bundle's"
        assert (policy.name, policy.match_above) == ("pilot-1", 3.0)
        score = ComparisonScore(4.0, reference.source, "kinect2", "small")
        return Probe(POSTERIOR, (), "kinect2"), VerificationResult(
            self.decision, score, (("a-reason", "hint"),), policy.name, frames_used=1
        )

    def revocations(self) -> dict[str, Any]:
        self.told.append("revocations")
        statement = Revocations("lobby", 100 + len(self.told), self.clock.now, self.revoked)
        return write_revocations(statement, signer=SERVICE)

    def reports(self, reports: Sequence[dict[str, Any]]) -> int:
        self.told.append("reports")
        self.taken += reports[: self.most]
        return int(self.taken[-1]["sequence"])

    def bundle(self) -> bytes:
        self.told.append("bundle")
        self.serial += 1
        made = head(bundle_id=f"bnd_{self.serial}", serial=self.serial, made_at=self.clock.now)
        return write_bundle(made, self.contents, signer=SERVICE)


def state_in(folder: Path) -> EdgeState:
    folder.mkdir(exist_ok=True)
    return EdgeState.create(folder / "state", KEYS)


def opened(content: bytes, state: EdgeState, keys: KioskKeys = KEYS, now: datetime = NOW) -> Any:
    return open_bundle(content, keys=keys, trusted=SERVICE.public, state=state, now=now)

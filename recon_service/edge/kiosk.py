"""A kiosk without the service: revocations first, then the bundle, the visit, the decision, the report.

The report of a decision is on the disk before the decision is told, sealed so that the kiosk itself cannot
read it. Everything waits in one folder:

    state                what the kiosk remembers, encrypted
    bundle               the bundle in use, as it came
    reports/00000001     reports that the service has not confirmed
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import Probe
from recon_service.application.computing.verify import verified_probe
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.edge import EdgeReport
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.template import Decision, Template, VerificationResult
from recon_service.edge.bundle import OpenBundle, open_bundle
from recon_service.edge.errors import (
    BundleExpired,
    EdgeStateLost,
    SubjectNotInBundle,
    SubjectRefused,
    SubjectRevoked,
)
from recon_service.edge.keys import KioskKeys
from recon_service.edge.state import EdgeState
from recon_service.edge.statements import digest_of, read_revocations, seal_report, written
from recon_service.formats.template_format import BinaryTemplateFormat

REPORTS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class OfflineDecision:
    """What was decided, and the number of its report."""

    result: VerificationResult
    report: int
    bundle_id: str


class EdgeTransport(Protocol):
    """The way to the service, when there is one. Each raises whatever says that there is none."""

    def revocations(self) -> dict[str, Any]:
        """``GET /v1/sites/{site}/revocations``."""
        ...

    def reports(self, reports: Sequence[dict[str, Any]]) -> int:
        """``POST /v1/edge-reports``; number of the last report that the service has."""
        ...

    def bundle(self) -> bytes:
        """``POST /v1/sites/{site}/bundles``."""
        ...


class EdgeKiosk:
    """One kiosk's edge mode, in a folder of its own. Not for several threads or processes at once.

    trusted: public key of the service. pipeline: of the model that the bundle was made for; its calibration
    is the bundle's. clock: of the kiosk.
    """

    def __init__(
        self,
        folder: Path,
        keys: KioskKeys,
        *,
        trusted: str,
        pipeline: FacePipeline,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._folder, self._keys, self._trusted = folder, keys, trusted
        self._pipeline, self._clock = pipeline, clock
        self._state = EdgeState.load(folder / "state", keys)
        self._bundle: OpenBundle | None = None

    @classmethod
    def set_up(cls, folder: Path, keys: KioskKeys) -> None:
        """Once, before the first start. Raises Conflict; EdgeStateLost where a bundle or reports are left
        of a state that is gone: who could make a kiosk forget could bring back what was revoked.
        """
        left = (folder / "bundle").exists() or any((folder / "reports").glob("*"))
        if left and not (folder / "state").exists():
            raise EdgeStateLost(
                "the kiosk's state is missing, its bundle or reports are not",
                next_step="Look after the kiosk; then set it up in an empty folder, with new keys.",
            )
        (folder / "reports").mkdir(mode=0o700, parents=True, exist_ok=True)
        EdgeState.create(folder / "state", keys)

    def install(self, content: bytes) -> OpenBundle:
        """Take a bundle into use. Raises BundleAltered, BundleNotForThisKiosk, BundleRolledBack,
        BundleExpired, ClockSetBack; the one before stays in use then.
        """
        bundle = self._open(content)
        _write(self._folder / "bundle", content)
        self._bundle = bundle
        return bundle

    def apply_revocations(self, content: dict[str, Any]) -> None:
        """Raises BundleAltered, BundleNotForThisKiosk, BundleRolledBack."""
        self._state.revoke(read_revocations(content, trusted=self._trusted))

    def verify_offline(self, subject_id: str, frames: Sequence[DepthFrame]) -> OfflineDecision:
        """Is the person before the camera the subject?

        Raises BundleExpired, ClockSetBack, SubjectNotInBundle, SubjectRevoked, SubjectRefused, and what
        ``install`` raises for the bundle that lies there.
        """
        bundle, now = self._current(), self._clock()
        self._state.saw(now)
        self._state.require_unexpired(bundle.head, now=now)
        reference = self._reference(subject_id, bundle)
        self._state.attempt(subject_id)
        pipeline = replace(self._pipeline, calibration=bundle.calibration)
        probe, result = verified_probe(frames, reference, pipeline, bundle.policy)
        if result.decision is Decision.MATCH:
            self._state.matched(subject_id)
        self._keep(bundle, reference, probe, result, now)
        return OfflineDecision(result, self._state.reports, bundle.head.bundle_id)

    def unreported(self) -> int:
        """Decisions that the service does not know of."""
        return len(self._waiting())

    def synchronize(self, transport: EdgeTransport, *, bundle_too: bool = True) -> int:
        """Revocations first, then the reports in order, then a new bundle; how many reports were taken. What
        breaks off is done the next time.
        """
        self.apply_revocations(transport.revocations())
        taken = 0
        while waiting := self._waiting()[:REPORTS_AT_ONCE]:
            last = transport.reports([json.loads(path.read_bytes()) for path in waiting])
            confirmed = [path for path in waiting if int(path.name) <= last]
            for path in confirmed:
                path.unlink()
            taken += len(confirmed)
            if len(confirmed) < len(waiting):
                break
        if bundle_too:
            self.install(transport.bundle())
        return taken

    def _current(self) -> OpenBundle:
        if self._bundle is None:
            try:
                content = (self._folder / "bundle").read_bytes()
            except OSError:
                raise BundleExpired(
                    "the kiosk has no bundle", next_step="Connect it and fetch one."
                ) from None
            self._bundle = self._open(content)
        return self._bundle

    def _open(self, content: bytes) -> OpenBundle:
        return open_bundle(
            content, keys=self._keys, trusted=self._trusted, state=self._state, now=self._clock()
        )

    def _reference(self, subject_id: str, bundle: OpenBundle) -> Template:
        reference = bundle.templates.get(subject_id)
        if reference is None:
            raise SubjectNotInBundle(
                "this site does not hold the subject", next_step="Verify with the service, or another way."
            )
        if self._state.revoked(reference.template_id):
            raise SubjectRevoked(
                "the subject was revoked since the bundle was made", next_step="Fetch a new bundle."
            )
        if self._state.failures(subject_id) >= bundle.terms.most_failures:
            raise SubjectRefused(
                "too many verifications without a match", next_step="Verify with the service, or another way."
            )
        return reference

    def _keep(
        self, bundle: OpenBundle, reference: Template, probe: Probe, result: VerificationResult, now: datetime
    ) -> None:
        report = EdgeReport(
            kiosk_id=bundle.head.kiosk_id,
            bundle_id=bundle.head.bundle_id,
            sequence=self._state.reports + 1,
            at=now,
            subject_id=reference.subject_id,
            template_id=reference.template_id,
            decision=result.decision,
            llr=result.score.llr if result.score else None,
            reasons=tuple(code for code, _ in result.reasons),
            policy=result.policy,
            frames_used=result.frames_used,
            evidence=_evidence(bundle, reference, probe, now) if bundle.terms.evidence else b"",
        )
        sealed = seal_report(
            report,
            before=self._state.last_report,
            reports_to=bundle.head.reports_to,
            signer=self._keys.signer,
        )
        _write(self._folder / "reports" / f"{report.sequence:08d}", json.dumps(written(sealed)).encode())
        self._state.reported(digest_of(sealed))

    def _waiting(self) -> list[Path]:
        """In order. One that was written just before a crash, and not counted, is written again."""
        found = sorted(path for path in (self._folder / "reports").iterdir() if path.name.isdigit())
        return [path for path in found if int(path.name) <= self._state.reports]


def _evidence(bundle: OpenBundle, reference: Template, probe: Probe, now: datetime) -> bytes:
    if probe.posterior is None:
        return b""
    return BinaryTemplateFormat().write(
        Template(
            template_id="probe",
            subject_id=reference.subject_id,
            posterior=probe.posterior,
            source=f"depth/{probe.source}",
            model=bundle.head.model,
            calibration=bundle.calibration.identity,
            provenance=(),
            quality=0.0,
            created_at=now,
        )
    )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, on the disk before this returns."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)

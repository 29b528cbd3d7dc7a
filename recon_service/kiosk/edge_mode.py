"""Edge mode: the site's bundle decides when the service does not, and the service hears of it afterwards.

Here, and nowhere else in the kiosk, the stages that compare are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recon_service.assembly import build_pipeline
from recon_service.domain.depth_frame import DepthFrame
from recon_service.edge import EdgeKiosk, EdgeRefused, KioskKeys
from recon_service.kiosk.errors import OfflineRefused
from recon_service.kiosk.service import Service, Verdict

STATE: Final = "state"


@dataclass(frozen=True, slots=True)
class Line:
    """The way to the service for edge mode (``recon_service.edge.EdgeTransport``)."""

    service: Service
    site: str
    kiosk_id: str

    def revocations(self) -> dict[str, Any]:
        """What the site must not use any more, signed. Raises ServiceError."""
        return dict(self.service.call("GET", f"/v1/sites/{self.site}/revocations").json())

    def reports(self, reports: Sequence[dict[str, Any]]) -> int:
        """Number of the last report that the service has. Raises ServiceError."""
        answer = self.service.call("POST", "/v1/edge-reports", json={"reports": list(reports)})
        return int(answer.json()["last"])

    def bundle(self) -> bytes:
        """The site's newest bundle. Raises ServiceError."""
        path = f"/v1/sites/{self.site}/bundles"
        return self.service.call("POST", path, json={"kiosk_id": self.kiosk_id}).content


class SiteBundle:
    """Decides with a bundle (``offline.BundleVerifier``). Belongs to the kiosk's thread.

    folder: where the edge state, the bundle and sealed reports lie; made at the first start. trusted: public
    key of the service. Raises EdgeRefused, InvalidValue, WeightsUnavailable.
    """

    def __init__(self, folder: Path, keys: KioskKeys, line: Line, *, trusted: str) -> None:
        if not (folder / STATE).exists():
            EdgeKiosk.set_up(folder, keys)
        self._edge = EdgeKiosk(folder, keys, trusted=trusted, pipeline=build_pipeline())
        self._line = line

    def verify(self, subject_id: str, frames: Sequence[DepthFrame]) -> Verdict:
        """The decision; its report is on the disk before this returns. Raises OfflineRefused."""
        try:
            made = self._edge.verify_offline(subject_id, frames)
        except EdgeRefused as fault:
            raise OfflineRefused(f"{fault.title}: {fault.detail}", next_step=fault.next_step) from None
        result = made.result
        return Verdict(
            decision=result.decision.value,
            score=None if result.score is None else result.score.llr,
            reasons=tuple(result.reasons),
            frames_used=result.frames_used,
            milliseconds={},
            attempts=0,
        )

    def unreported(self) -> int:
        """Decisions that the service does not know of."""
        return self._edge.unreported()

    def report(self) -> int:
        """Revocations, then reports, then a new bundle. Raises ServiceError, EdgeRefused."""
        return self._edge.synchronize(self._line)

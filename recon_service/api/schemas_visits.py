"""Bodies about the visits that strengthened a template, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import CalibrationField, Count, LlrField, SubjectField
from recon_service.domain.template import DepthVisit

_TEMPLATE = "tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e"

VISITS: Final[dict[str, Any]] = {
    "subject_id": "user-8c41",
    "template_id": _TEMPLATE,
    "visits": [
        {
            "visit_id": "vis_4e1d0c9b8a7f6e5d4c3b2a1908f7e6d5",
            "source": "depth/kinect2",
            "captures": 3,
            "captured_at": "2026-03-09T17:20:04.250000Z",
            "calibration": "released-1@0123456789ab",
            "policy": "pilot-strengthening-1",
            "score": 3.81,
            "confirmed": False,
            "gain": 41.2,
            "kiosk": "7a" * 32,
        }
    ],
}


class VisitBody(Body):
    """One visit that the active template rests on beside the enrollment; nothing of the face itself."""

    visit_id: str = Field(description="Id of the visit, to take it out again.")
    source: str = Field(description="The depth camera: `depth/CAMERA`.")
    captures: Count = Field(description="Depth frames that it rests on.")
    captured_at: datetime = Field(description="When the person stood before the kiosk.")
    calibration: CalibrationField
    policy: str = Field(description="Name of the policy that let it in.")
    score: LlrField = Field(description="Natural log-likelihood ratio of the verification that it came from.")
    confirmed: bool = Field(description="Whether card and PIN vouched for the person, and not the score.")
    gain: float = Field(description="What it added to the depth evidence there was, nats.")
    kiosk: str = Field(description="Keyed digest of the API key's id, hex: equal for visits through one key.")


class VisitsBody(Body):
    """The visits of the active template, oldest first."""

    subject_id: SubjectField
    template_id: str = Field(description="Id of the active template.")
    visits: list[VisitBody] = Field(description="Oldest first; empty: it rests on the enrollment alone.")


def visit_body(visit: DepthVisit) -> VisitBody:
    """On the wire."""
    return VisitBody(
        visit_id=visit.visit_id,
        source=visit.source,
        captures=visit.captures,
        captured_at=visit.captured_at,
        calibration=visit.calibration,
        policy=visit.policy,
        score=round(visit.score, 4),
        confirmed=visit.confirmed,
        gain=round(visit.gain, 3),
        kiosk=visit.kiosk,
    )

"""The body of a look into a template."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_verifications import VerificationBody, verification_body
from recon_service.application.records.inspections import Inspection
from recon_service.domain.arrays import Array

STEP_MM: Final = 0.01
UNKNOWN: Final = -32768


class InspectionBody(Body):
    """Lengths by vertex: base64 of little-endian 16-bit integers in hundredths of a millimeter, -32768 where
    nothing is known, in the order of the mesh's vertices.
    """

    width: str = Field(description="How sure the surface is: standard deviation along its normal, by vertex.")
    regions: dict[str, float] = Field(
        description="How sure it is by region of the face: root mean square of that deviation, millimeters."
    )
    residual: str | None = Field(
        description="How far the kept selfies' landmarks lie from the fit, by vertex; null: no selfies were "
        "asked for, or none are kept."
    )
    overlays: list[str] = Field(
        description="The kept selfies with the mesh over them: PNG files, base64; empty: none were asked "
        "for, or none are kept."
    )
    distance: str | None = Field(
        description="How far the depth surface lies from the template, positive outside, by vertex; null: no "
        "capture was sent, or it could not be fitted."
    )
    verification: VerificationBody | None = Field(
        description="What a verification would answer for the capture; null: none was sent."
    )


INSPECTION: Final[dict[str, Any]] = {
    "width": "ZABkAGQA",
    "regions": {"forehead": 1.4, "nose": 0.9, "mouth": 1.1},
    "residual": None,
    "overlays": [],
    "distance": None,
    "verification": None,
}


def inspection_body(found: Inspection) -> InspectionBody:
    """On the wire."""
    return InspectionBody(
        width=_packed(found.width),
        regions={name: round(width, 3) for name, width in found.regions},
        residual=_packed(found.residual) if found.residual is not None else None,
        overlays=[base64.b64encode(picture).decode() for picture in found.overlays],
        distance=_packed(found.distance) if found.distance is not None else None,
        verification=verification_body(found.outcome) if found.outcome else None,
    )


def _packed(values: Array) -> str:
    steps = np.clip(np.round(np.nan_to_num(values) / STEP_MM), -32767, 32767)
    return base64.b64encode(np.where(np.isfinite(values), steps, UNKNOWN).astype("<i2").tobytes()).decode()

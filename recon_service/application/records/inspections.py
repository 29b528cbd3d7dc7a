"""What a look into a template gives."""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.application.records.visits import VerificationOutcome
from recon_service.domain.arrays import Array


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. All arrays are (V,) float32 millimetres in the order of the mesh's vertices, NaN where
    nothing is known.

    width: standard deviation of the surface along its normal. regions: the same, root mean square over each
    region. residual: how far the selfies' landmarks lie from where the fit puts them, at the face. overlays:
    PNG files of the kept selfies with the mesh over them. distance: of the depth surface from the template,
    positive outside. outcome: of the comparison.
    """

    width: Array
    regions: tuple[tuple[str, float], ...]
    residual: Array | None = None
    overlays: tuple[bytes, ...] = ()
    distance: Array | None = None
    outcome: VerificationOutcome | None = None

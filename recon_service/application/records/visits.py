"""A kiosk's visit as it arrives: bytes of depth maps and pictures, and what the kiosk says about its
camera.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from recon_service.application.records.probes import ProbeSeen
from recon_service.application.records.strengthening import Proposal
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import VerificationResult

MAX_FRAMES = 10
MAX_CAMERA_NAME = 64


@dataclass(frozen=True, slots=True)
class KioskVisit:
    """1 to 10 depth frames of one camera, and either no picture or one aligned picture per frame.

    depth: PNG (16-bit gray) or NPY files. images: JPEG or PNG files, color, or gray of 8 or 16 bits
    (infrared). camera: intrinsics of the depth maps. millimetres_per_unit: depth scale. camera_name: by
    which the calibration knows it. confirmed: by card and PIN, as somebody says who is trusted with that.
    may_strengthen: whether the template may take up the visit, so that all frames are looked at. keep_probe:
    whether what is seen may be kept.
    """

    depth: tuple[bytes, ...] = field(repr=False)
    camera: PinholeCamera
    images: tuple[bytes, ...] = field(default=(), repr=False)
    millimetres_per_unit: float = 1.0
    camera_name: str = "generic"
    confirmed: bool = False
    may_strengthen: bool = False
    keep_probe: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.depth) <= MAX_FRAMES:
            raise InvalidValue(
                f"a verification takes 1 to {MAX_FRAMES} depth frames, not {len(self.depth)}",
                next_step="Send each frame as a part named 'depth'.",
            )
        if len(self.images) not in (0, len(self.depth)):
            raise InvalidValue(
                f"{len(self.images)} pictures came with {len(self.depth)} depth frames",
                next_step="Send one aligned picture per depth frame, in the same order, or none.",
            )
        if not 1 <= len(self.camera_name) <= MAX_CAMERA_NAME:
            raise InvalidValue(f"a camera name has 1 to {MAX_CAMERA_NAME} characters")


@dataclass(frozen=True, slots=True)
class VerificationOutcome:
    """The result, what it was computed with, and milliseconds per stage. proposal: what the visit would add
    to the template, where its policy strengthens. strengthened: id of the version of the template that the
    visit made. seen: what was compared, where it may be kept; never of an artefact.
    """

    result: VerificationResult
    calibration: str
    milliseconds: dict[str, float]
    proposal: Proposal | None = None
    strengthened: str | None = None
    seen: ProbeSeen | None = None

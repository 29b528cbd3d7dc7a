"""Kinect v2 head crops as a dataset: infrared pictures enroll, depth frames (with their infrared picture)
are the probes. See ``evaluation/kinect2.py`` for the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import FULL_FRAME_DIAGONAL_MM
from recon_service.evaluation.dataset import Dataset, Item, Medium
from recon_service.evaluation.kinect2 import (
    CAMERA_NAME,
    EXPRESSIONS,
    FOCAL_PX,
    Kinect2Subject,
    kinect2_subjects,
)
from recon_service.evaluation.png import png
from recon_service.imaging.limits import ImageLimits
from recon_service.quality.limits import QualityLimits

QUALITY = QualityLimits(min_eye_distance_px=15.0)
"""Faces are 60 to 75 pixels wide, eyes about 25 apart: half of what is asked of a selfie."""
LIMITS = ImageLimits(min_side=48)
VISIT = "session"
NOTES = (
    "Enrolled are infrared pictures of 60 to 75 pixels' face width, not photographs of a phone.",
    "One session per person: hair, light and camera do not change between reference and probe.",
    "The two sides of a comparison never share a head pose; expressions vary freely, mouths open too.",
)


@dataclass(frozen=True, slots=True)
class Kinect2Person:
    """One person: frame FF of pose FF // 6 as a picture and as a depth frame."""

    captures: Kinect2Subject

    @property
    def name(self) -> str:
        return self.captures.name

    def items(self) -> Sequence[Item]:
        return [
            Item(medium, f"{frame:02d}", VISIT, f"pose {frame // EXPRESSIONS}", f"{frame // EXPRESSIONS}")
            for medium in Medium
            for frame in self.captures.frames()
        ]

    def fingerprint(self, item: Item) -> str:
        digest = hashlib.sha256(item.medium.encode())
        for kind in ("ir",) if item.medium is Medium.IMAGE else ("ir", "depth"):
            digest.update((self.captures.folder / f"{item.label}_{kind}.png").read_bytes())
        return digest.hexdigest()

    def picture(self, item: Item) -> bytes:
        """The infrared picture as an 8-bit PNG that states its focal length, as a phone's file does."""
        image = self.captures.infrared(int(item.label))
        focal = FOCAL_PX / float(np.hypot(image.width, image.height)) * FULL_FRAME_DIAGONAL_MM
        return png(image.pixels, focal_35mm=focal)

    def frame(self, item: Item) -> DepthFrame:
        return self.captures.depth(int(item.label))


def kinect2(root: Path) -> Dataset:
    """The people below ``root``. Raises InvalidValue when there are fewer than two."""
    people = [Kinect2Person(subject) for subject in kinect2_subjects(root)]
    return Dataset("kinect2", CAMERA_NAME, people, NOTES, QUALITY, LIMITS)

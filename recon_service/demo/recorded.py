"""Real people: recorded infrared and depth frames of a Kinect v2, where the recordings are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from recon_service.demo.simulated import jpeg
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import FULL_FRAME_DIAGONAL_MM, Image
from recon_service.evaluation.kinect2 import EXPRESSIONS, FOCAL_PX, Kinect2Subject, kinect2_subjects

FOLDER = "kinect2_dev"
SUBJECTS = 4
ENLARGED = 3
"""The crops are 91 x 102 pixels: below what the gate takes for a selfie, so they are enlarged (nothing is
gained by it)."""
SELFIES = tuple(pose * EXPRESSIONS + 2 for pose in range(5))
VISIT_1 = tuple(pose * EXPRESSIONS + 4 for pose in (3, 4, 5))
VISIT_2 = tuple(pose * EXPRESSIONS + 3 for pose in (0, 1, 2))


@dataclass(frozen=True, slots=True)
class RecordedPerson:
    """selfies: JPEG bytes of infrared frames. visits: two sets of other frames, depth with infrared."""

    name: str
    selfies: tuple[bytes, ...]
    visits: tuple[tuple[DepthFrame, ...], tuple[DepthFrame, ...]]


def recordings(named: Path | None, environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder of recordings: the one named, or ``cases`` beside the mirror of model files; None if there
    is none.
    """
    environment = os.environ if environment is None else environment
    mirror = environment.get("RECON_WEIGHTS_MIRROR", "")
    roots = [named] if named is not None else [Path(mirror).resolve().parent / "cases"] if mirror else []
    for root in roots:
        for folder in (root / FOLDER, root):
            if (folder / "s00").is_dir():
                return folder
    return None


def recorded_people(folder: Path) -> list[RecordedPerson]:
    """The first people of the recordings, with the frames that the demo uses."""
    subjects = list(kinect2_subjects(folder))[:SUBJECTS]
    return [
        RecordedPerson(
            subject.name,
            tuple(jpeg(enlarged(subject.infrared(frame))) for frame in SELFIES),
            (_visit(subject, VISIT_1), _visit(subject, VISIT_2)),
        )
        for subject in subjects
    ]


def enlarged(image: Image) -> Image:
    """An infrared crop as a picture of usual size that states its focal length."""
    size = (image.width * ENLARGED, image.height * ENLARGED)
    pixels = PillowImage.fromarray(image.pixels).resize(size, PillowImage.Resampling.BICUBIC)
    focal_35mm = FOCAL_PX / float(np.hypot(image.width, image.height)) * FULL_FRAME_DIAGONAL_MM
    return Image(np.asarray(pixels), focal_35mm=focal_35mm)


def _visit(subject: Kinect2Subject, frames: tuple[int, ...]) -> tuple[DepthFrame, ...]:
    return tuple(subject.depth(frame) for frame in frames)

"""Real people: recorded infrared and depth frames of a Kinect v2, where the recordings are there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from recon_service.demo.person import Person
from recon_service.demo.simulated import jpeg
from recon_service.domain.camera import PinholeCamera
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


def recorded_people(folder: Path) -> list[Person]:
    """The first people of the recordings, with the frames that the demo uses."""
    subjects = list(kinect2_subjects(folder))[:SUBJECTS]
    return [
        Person(
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
    """Frames of one size: the crops differ by some pixels, while a visit has one camera."""
    crops = [subject.depth(frame) for frame in frames]
    width = max(crop.camera.width for crop in crops)
    height = max(crop.camera.height for crop in crops)
    camera = replace(crops[0].camera, width=width, height=height, cx=(width - 1) / 2, cy=(height - 1) / 2)
    return tuple(_padded(crop, camera) for crop in crops)


def _padded(crop: DepthFrame, camera: PinholeCamera) -> DepthFrame:
    """The crop in the middle of a larger frame, to half a pixel; nothing was measured around it."""
    left = (camera.width - crop.camera.width) // 2
    top = (camera.height - crop.camera.height) // 2
    inside = np.s_[top : top + crop.camera.height, left : left + crop.camera.width]
    depth = np.zeros((camera.height, camera.width))
    depth[inside] = crop.depth
    image = None
    if crop.image is not None:
        pixels = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
        pixels[inside] = crop.image.pixels
        image = Image(pixels)
    return DepthFrame(depth, camera, crop.camera_name, image)

"""Reader for Kinect v2 head crops: ``sNN/FF_depth.png`` (uint16, millimetres) and the aligned
``sNN/FF_ir.png`` (uint16).

Frames of a subject are numbered pose * 6 + expression (9 poses, 6 expressions). No intrinsics were
recorded: the nominal focal length of the full frame is used, and the center of the crop for the principal
point, which is a small rotation to first order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from recon_service.imaging import image_from_gray

FOCAL_PX = 365.5
CAMERA_NAME = "kinect2"
EXPRESSIONS = 6


@dataclass(frozen=True, slots=True)
class Kinect2Subject:
    """One person's captures."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def frames(self) -> list[int]:
        return sorted(int(p.name.split("_")[0]) for p in self.folder.glob("*_depth.png"))

    def infrared(self, frame: int) -> Image:
        """The infrared picture of a frame as an RGB image."""
        return image_from_gray(_read(self.folder / f"{frame:02d}_ir.png"))

    def depth(self, frame: int, *, with_image: bool = True) -> DepthFrame:
        """A frame with its nominal intrinsics."""
        depth = _read(self.folder / f"{frame:02d}_depth.png")
        height, width = depth.shape
        camera = PinholeCamera(
            width=width, height=height, fx=FOCAL_PX, fy=FOCAL_PX, cx=(width - 1) / 2, cy=(height - 1) / 2
        )
        image = self.infrared(frame) if with_image else None
        return DepthFrame.from_array(depth, camera=camera, camera_name=CAMERA_NAME, image=image)


def kinect2_subjects(root: Path) -> Iterator[Kinect2Subject]:
    """The subjects below ``root``, by name. Raises InvalidValue when there are none."""
    folders = sorted(p for p in root.glob("s[0-9][0-9]") if p.is_dir())
    if not folders:
        raise InvalidValue(f"no folders sNN below {root}", next_step="Name the folder that holds s00, s01, …")
    for folder in folders:
        yield Kinect2Subject(folder)


def _read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 2:
        raise InvalidValue(f"{path.name} is not a gray PNG")
    return pixels

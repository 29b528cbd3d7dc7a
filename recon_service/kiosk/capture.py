"""Good frames -> what is sent: the head cut out of depth and picture, packed into the bandwidth that is
allowed.

All frames of a capture share one camera, so they are cut alike: the smallest box that shows every head,
with the principal point moved along. Depth farther from the face than the service looks is cleared: it says
nothing about the person, something about who stands behind, and makes up half of the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.best_frames import Candidate
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.errors import CaptureTooLarge

HALF_WIDTH_MM: Final = 130.0
ABOVE_MM: Final = 165.0
BELOW_MM: Final = 145.0
"""Around the middle of the face: hair and ears to the sides, the crown above, the throat below."""
DEEP_MM: Final = 230.0
"""Depth is kept this far from the middle of the face; the service looks 170 mm from the middle of what it
fits.
"""
STEPS_MM: Final = (0.1, 0.2, 0.4)
"""Units that depth is rounded to: the finest that fits the bandwidth. The coarsest adds 0.12 mm (SD) to a
sensor's noise of 0.5 mm and more.
"""
QUALITIES: Final = (90, 80, 70)
MAX_BYTES: Final = 300_000
FORM_BYTES: Final = 2_000
"""What the form, its headers and the session around the parts take."""


@dataclass(frozen=True, slots=True)
class Capture:
    """The parts of a verification, as they are sent. depth: PNG of 16 bits. images: JPEG (color) or PNG
    (infrared), one per depth map or none. step_mm: what depth was rounded to.
    """

    depth: tuple[bytes, ...] = field(repr=False)
    images: tuple[bytes, ...] = field(repr=False)
    intrinsics: str
    step_mm: float

    @property
    def bytes_sent(self) -> int:
        """Of all parts, with what the form takes."""
        parts = sum(map(len, self.depth)) + sum(map(len, self.images))
        return parts + len(self.intrinsics) + FORM_BYTES


def pack(candidates: Sequence[Candidate], *, max_bytes: int = MAX_BYTES, least_frames: int = 2) -> Capture:
    """The frames as they are sent: with the finest depth and the best pictures that fit; then with fewer
    frames, the last ones first to go, down to ``least_frames``.

    Raises CaptureTooLarge when nothing fits.
    """
    if not candidates:
        raise InvalidValue("a capture has at least one frame")
    chosen = list(candidates)
    smallest = 0
    while True:
        for step, quality in zip(STEPS_MM, QUALITIES, strict=True):
            made = _packed(chosen, step, quality)
            if made.bytes_sent <= max_bytes:
                return made
            smallest = made.bytes_sent
        if len(chosen) <= max(1, least_frames):
            raise CaptureTooLarge(
                f"{len(chosen)} frames take {smallest:,} bytes, {max_bytes:,} may be sent",
                next_step="Choose a smaller depth stream, or allow more bandwidth.",
            )
        chosen.pop()


def head_box(candidates: Sequence[Candidate]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) pixels that show every head, within the frame."""
    camera = candidates[0].frame.camera
    corners = []
    for candidate in candidates:
        center = candidate.face.center
        for dx, dy in ((-HALF_WIDTH_MM, -ABOVE_MM), (HALF_WIDTH_MM, BELOW_MM)):
            corners.append(center + np.array([dx, dy, 0.0]))
    pixels = camera.project(np.array(corners))
    left, top = np.floor(pixels.min(axis=0)).astype(int)
    right, bottom = np.ceil(pixels.max(axis=0)).astype(int) + 1
    left, top = max(int(left), 0), max(int(top), 0)
    right, bottom = min(int(right), camera.width), min(int(bottom), camera.height)
    if right - left < 16 or bottom - top < 16:
        raise InvalidValue("the face lies outside the frame")
    return left, top, right, bottom


def _packed(candidates: Sequence[Candidate], step_mm: float, quality: int) -> Capture:
    left, top, right, bottom = head_box(candidates)
    first = candidates[0].frame
    # What the sensor cannot tell apart need not be told more finely.
    step = first.millimetres_per_unit
    step = step if first.depth.dtype == np.uint16 and step >= step_mm else step_mm
    camera = first.camera.cropped(left=left, top=top, width=right - left, height=bottom - top)
    depth, images = [], []
    for candidate in candidates:
        frame = candidate.frame
        inside = np.s_[top:bottom, left:right]
        near = _near(frame.millimetres()[inside], candidate.face.center, camera)
        depth.append(_depth_png(frame, inside, near, step))
        if frame.picture is not None:
            images.append(_picture(frame.picture[inside], quality))
    return Capture(tuple(depth), tuple(images), _intrinsics(camera, step, first.camera_name), step)


def _near(depth: NDArray[np.float32], center: Array, camera: PinholeCamera) -> NDArray[np.bool_]:
    """(H, W): measured, and within DEEP_MM of the middle of the face; straight lines do for that."""
    v, u = np.ogrid[0 : camera.height, 0 : camera.width]
    x = (u - camera.cx) / camera.fx * depth - center[0]
    y = (v - camera.cy) / camera.fy * depth - center[1]
    return np.asarray((depth > 0) & (x * x + y * y + (depth - center[2]) ** 2 < DEEP_MM**2))


def _depth_png(frame: CameraFrame, inside: Any, near: NDArray[np.bool_], step_mm: float) -> bytes:
    depth = frame.depth[inside]
    if frame.depth.dtype == np.uint16 and step_mm == frame.millimetres_per_unit:
        units = np.where(near, depth, 0).astype(np.uint16)
    else:
        steps = np.rint(np.where(near, depth * np.float32(frame.millimetres_per_unit / step_mm), 0))
        units = np.where(steps <= 65535, steps, 0).astype(np.uint16)
    # Noise has no repetitions to look for: run lengths alone take 2 ms instead of 20 for the same size.
    options = [cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return _encoded(".png", units, options)


def _picture(pixels: NDArray[Any], quality: int) -> bytes:
    if pixels.ndim == 3:
        return _encoded(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    # The service knows infrared by its one gray channel, which JPEG has for nothing else.
    return _encoded(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def _encoded(kind: str, pixels: NDArray[Any], options: list[int]) -> bytes:
    done, content = cv2.imencode(kind, np.ascontiguousarray(pixels), options)
    if not done:
        raise InvalidValue(f"{pixels.shape} {pixels.dtype} cannot be written as {kind}")
    return bytes(content)


def _intrinsics(camera: PinholeCamera, step_mm: float, name: str) -> str:
    about: dict[str, Any] = {key: getattr(camera, key) for key in ("width", "height", "fx", "fy", "cx", "cy")}
    if any(camera.distortion):
        about["distortion"] = list(camera.distortion)
    return json.dumps(about | {"millimetres_per_unit": step_mm, "camera": name})

"""What every depth camera of a kiosk does, and what a frame of it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from recon_service.imaging import image_from_gray
from recon_service.kiosk.errors import CameraStalled

READ_SECONDS = 2.0


class PictureKind(StrEnum):
    """What a camera shows beside depth."""

    COLOR = "color"
    INFRARED = "infrared"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A depth map as the sensor gave it, with the picture that belongs to it pixel by pixel.

    depth: (H, W) uint16, or float32 with NaN or 0 where nothing was measured; along z, in units of
    ``millimetres_per_unit``. camera: intrinsics of the depth map. picture: (H, W, 3) uint8 RGB, (H, W) uint8
    or uint16 infrared, or None. timestamp_ms: of the device's clock, of which only differences mean
    something. number: of the device, gaps are frames that were lost. camera_name: by which the calibration
    knows the camera.
    """

    depth: NDArray[Any]
    millimetres_per_unit: float
    camera: PinholeCamera
    timestamp_ms: float
    number: int
    picture: NDArray[Any] | None = None
    camera_name: str = "generic"

    def __post_init__(self) -> None:
        if self.depth.dtype not in (np.uint16, np.float32) or self.depth.ndim != 2:
            raise InvalidValue(
                f"a depth map is (H, W) uint16 or float32, not {self.depth.shape} {self.depth.dtype}"
            )
        if self.depth.shape != (self.camera.height, self.camera.width):
            raise InvalidValue(
                f"the depth map is {self.depth.shape[1]}x{self.depth.shape[0]}, "
                f"its intrinsics are for {self.camera.width}x{self.camera.height}"
            )
        if not (math.isfinite(self.millimetres_per_unit) and self.millimetres_per_unit > 0):
            raise InvalidValue("a depth scale is a positive number of millimeters")
        if not (math.isfinite(self.timestamp_ms) and self.number >= 0):
            raise InvalidValue("a frame has a finite time stamp and a number from 0")
        if self.picture is not None:
            color = self.picture.dtype == np.uint8 and self.picture.shape == (*self.depth.shape, 3)
            gray = self.picture.dtype in (np.uint8, np.uint16) and self.picture.shape == self.depth.shape
            if not (color or gray):
                raise InvalidValue(
                    f"a picture has the size of the depth map, not {self.picture.shape} {self.picture.dtype}"
                )

    def millimetres(self) -> NDArray[np.float32]:
        """(H, W) mm, 0 where nothing was measured."""
        values = self.depth.astype(np.float32) * np.float32(self.millimetres_per_unit)
        return np.where(np.isfinite(values), values, np.float32(0.0))

    def image(self) -> Image | None:
        """The picture as a detector reads it; None where there is none or it has no contrast."""
        if self.picture is None:
            return None
        if self.picture.ndim == 3:
            return Image(self.picture)
        try:
            return image_from_gray(self.picture)
        except InvalidValue:
            return None

    def depth_frame(self) -> DepthFrame:
        """The frame as the rest of the code reads it."""
        return DepthFrame.from_array(
            self.depth,
            camera=self.camera,
            millimetres_per_unit=self.millimetres_per_unit,
            camera_name=self.camera_name,
            image=self.image(),
        )


class DepthCamera(Protocol):
    """A source of frames. One thread at a time.

    ``start`` raises CameraNotConnected, CameraSupportMissing, WrongStream or RecordingUnreadable; after it,
    ``read`` gives the next frame, or raises CameraStalled when none came within ``timeout_s``, and
    CameraNotConnected when the camera went away. ``stop`` may be called at any time and any number of times;
    a camera that was stopped can be started again. A recording that is over gives None.
    """

    @property
    def camera_name(self) -> str:
        """By which the calibration knows it."""
        ...

    def start(self) -> None: ...

    def read(self, timeout_s: float = READ_SECONDS) -> CameraFrame | None: ...

    def stop(self) -> None: ...


class CameraSession:
    """``with CameraSession(camera) as session: for frame in session.frames(): ...`` starts and stops it."""

    def __init__(self, camera: DepthCamera, *, timeout_s: float = READ_SECONDS) -> None:
        self.camera = camera
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        try:
            self.camera.start()
        except BaseException:
            self.camera.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.camera.stop()

    def frames(self, count: int | None = None) -> Iterator[CameraFrame]:
        """Frames until the recording is over, or so many."""
        given = 0
        while count is None or given < count:
            frame = self.camera.read(self._timeout_s)
            if frame is None:
                return
            given += 1
            yield frame


def not_started() -> CameraStalled:
    """What ``read`` raises before ``start``."""
    return CameraStalled("the camera was not started", next_step="Call start() before read().")

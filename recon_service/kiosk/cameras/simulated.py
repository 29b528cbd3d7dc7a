"""A camera that looks at a simulated head: for demonstrations, tests and kiosks without a camera."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from recon_service.domain.depth_frame import DepthFrame
from recon_service.kiosk.cameras.camera import READ_SECONDS, CameraFrame, not_started
from recon_service.kiosk.cameras.recording import FRAME_MS

UNITS_PER_MM: Final = 10


class Scene(Protocol):
    """What stands before the simulated camera: the frame of a number, the same whenever it is asked for."""

    def frame(self, number: int) -> DepthFrame: ...


class SimulatedCamera:
    """Frames of a scene, 30 each second by their time stamps.

    paced: as fast as by these; otherwise as fast as they are read. count: after so many it is over.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        paced: bool = False,
        count: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._scene, self._paced, self._count, self._sleep = scene, paced, count, sleep
        self._next = -1
        self._began = 0.0

    @property
    def camera_name(self) -> str:
        return self._scene.frame(0).camera_name

    def start(self) -> None:
        self._next, self._began = 0, time.monotonic()

    def read(self, timeout_s: float = READ_SECONDS) -> CameraFrame | None:
        if self._next < 0:
            raise not_started()
        number = self._next
        if self._count is not None and number >= self._count:
            return None
        self._next += 1
        if self._paced:
            self._sleep(max(0.0, self._began + number * FRAME_MS / 1e3 - time.monotonic()))
        return as_camera_frame(self._scene.frame(number), number)

    def stop(self) -> None:
        self._next = -1


def as_camera_frame(frame: DepthFrame, number: int) -> CameraFrame:
    """A frame in tenths of a millimeter, as a camera gives it."""
    units = np.rint(frame.depth * UNITS_PER_MM)
    return CameraFrame(
        depth=np.where(units > 65535, 0, units).astype(np.uint16),
        millimetres_per_unit=1 / UNITS_PER_MM,
        camera=frame.camera,
        timestamp_ms=number * FRAME_MS,
        number=number,
        picture=None if frame.image is None else frame.image.pixels,
        camera_name=frame.camera_name,
    )

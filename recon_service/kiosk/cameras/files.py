"""A camera that plays a recorded folder: depth as 16-bit PNG or PLY, pictures as PNG or JPEG, and a
description in JSON. ``recorder.py`` writes such folders; sealed ones need the key.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.kiosk.cameras.camera import READ_SECONDS, CameraFrame, not_started
from recon_service.kiosk.cameras.ply import depth_of_points, read_ply
from recon_service.kiosk.cameras.recording import (
    DESCRIPTION,
    SEALED,
    Entry,
    Recording,
    opened,
    read_recording,
    unreadable,
)


class FileCamera:
    """Frames of a folder, in its order.

    paced: as fast as they were taken, by their time stamps; otherwise as fast as they are read. loop: again
    from the start at the end, with numbers and time stamps that go on. key: of a sealed recording.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: bytes | None = None,
        paced: bool = False,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._folder, self._key = folder, key
        self._paced, self._loop = paced, loop
        self._clock, self._sleep = clock, sleep
        self._recording: Recording | None = None
        self._name = "generic"
        self._next = 0
        self._began = 0.0

    @property
    def camera_name(self) -> str:
        return self._recording.camera_name if self._recording else self._name

    @property
    def recording(self) -> Recording:
        """What the folder says of itself. Raises CameraStalled before the start."""
        if self._recording is None:
            raise not_started()
        return self._recording

    def start(self) -> None:
        self._recording = read_recording(self._folder, self._key)
        self._name = self._recording.camera_name
        self._next, self._began = 0, self._clock()

    def read(self, timeout_s: float = READ_SECONDS) -> CameraFrame | None:
        recording = self.recording
        rounds, at = divmod(self._next, len(recording.entries))
        if rounds and not self._loop:
            return None
        entry = recording.entries[at]
        offset_ms = rounds * recording.duration_ms
        if self._paced:
            due = self._began + (entry.timestamp_ms - recording.entries[0].timestamp_ms + offset_ms) / 1e3
            self._sleep(max(0.0, due - self._clock()))
        self._next += 1
        offset = rounds * (recording.entries[-1].number + 1)
        return self._frame(recording, entry, offset_ms=offset_ms, offset=offset)

    def stop(self) -> None:
        self._recording = None

    def _frame(self, recording: Recording, entry: Entry, *, offset_ms: float, offset: int) -> CameraFrame:
        camera = recording.camera
        if entry.depth.removesuffix(SEALED).endswith(".ply"):
            depth: NDArray[Any] = depth_of_points(
                read_ply(self._content(entry.depth)) * recording.ply_scale, camera
            )
            scale = 1.0
        else:
            depth, scale = self._pixels(entry.depth), recording.millimetres_per_unit
            if depth.dtype != np.uint16 or depth.ndim != 2:
                raise unreadable(f"{entry.depth} is not a 16-bit gray PNG")
        picture = None if entry.picture is None else self._picture(entry.picture)
        size = (camera.height, camera.width)
        if depth.shape != size or (picture is not None and picture.shape[:2] != size):
            raise unreadable(f"frame {entry.number} does not have the size in {DESCRIPTION}")
        return CameraFrame(
            depth=depth,
            millimetres_per_unit=scale,
            camera=camera,
            timestamp_ms=entry.timestamp_ms + offset_ms,
            number=entry.number + offset,
            picture=picture,
            camera_name=recording.camera_name,
        )

    def _picture(self, name: str) -> NDArray[Any]:
        pixels = self._pixels(name)
        return np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels

    def _pixels(self, name: str) -> NDArray[Any]:
        content = np.frombuffer(self._content(name), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
        if pixels is None or (pixels.ndim == 3 and pixels.shape[2] != 3):
            raise unreadable(f"{name} is no picture")
        return np.asarray(pixels)

    def _content(self, name: str) -> bytes:
        return opened(self._folder, name, self._key, recording_id=self.recording.recording_id)

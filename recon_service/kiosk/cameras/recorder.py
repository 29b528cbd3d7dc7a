"""Frames of any camera -> a folder that the file camera plays.

What a kiosk's camera sees is biometric. A recording is sealed with a key, unless whoever records says in so
many words that it need not be.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.cameras.recording import (
    DESCRIPTION,
    SEALED,
    Entry,
    Recording,
    checked_key,
    description,
    written,
)
from recon_service.kiosk.errors import RecordingKeyMissing, WrongStream

FLOAT_UNIT_MM: Final = 0.1
"""Depth that comes as floats is kept in tenths of a millimeter."""
ONES: Final = np.ones(3)


class Recorder:
    """Writes frames one by one; the recording is complete when it is closed.

    key: 32 bytes, seals every file. in_the_clear: write it open; one of the two is needed. Raises
    RecordingKeyMissing, and InvalidValue for a key of another length.
    """

    def __init__(self, folder: Path, *, key: bytes | None = None, in_the_clear: bool = False) -> None:
        if key is None and not in_the_clear:
            raise RecordingKeyMissing(
                "a recording shows a person and is sealed with a key",
                next_step="Set RECON_KIOSK_RECORDING_KEY_FILE, or say --in-the-clear for what may be seen.",
            )
        self._key = None if key is None else checked_key(key)
        if any((folder / name).exists() for name in (DESCRIPTION, f"{DESCRIPTION}{SEALED}")):
            raise WrongStream(f"{folder} holds a recording already", next_step="Record into a new folder.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._id = secrets.token_hex(16)
        self._first: CameraFrame | None = None
        self._entries: list[Entry] = []

    def add(self, frame: CameraFrame) -> None:
        """Write one more frame. Raises WrongStream when it is of another camera than the first."""
        first = self._first = self._first or frame
        scale = frame.millimetres_per_unit == first.millimetres_per_unit
        if frame.camera != first.camera or frame.depth.dtype != first.depth.dtype or not scale:
            raise WrongStream("the camera changed its format within a recording", next_step="Record anew.")
        stem = f"{len(self._entries):06d}"
        depth = f"{stem}.depth.png"
        self._write(depth, _png(self._units(frame)))
        picture = None
        if frame.picture is not None:
            picture = f"{stem}.picture.png"
            pixels = frame.picture if frame.picture.ndim == 2 else frame.picture[..., ::-1]
            self._write(picture, _png(pixels))
        self._entries.append(Entry(frame.number, frame.timestamp_ms, depth, picture))

    def close(self) -> None:
        """Write the description: before it the folder is no recording. Nothing was recorded: nothing is
        written.
        """
        if self._first is None:
            return
        first = self._first
        floating = first.depth.dtype == np.float32
        recording = Recording(
            camera=first.camera,
            camera_name=first.camera_name,
            millimetres_per_unit=FLOAT_UNIT_MM if floating else first.millimetres_per_unit,
            entries=tuple(self._entries),
            ply_scale=ONES,
            recording_id=self._id,
        )
        written(self._folder, DESCRIPTION, description(recording), self._key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _write(self, name: str, content: bytes) -> None:
        written(self._folder, name, content, self._key, recording_id=self._id)

    @staticmethod
    def _units(frame: CameraFrame) -> NDArray[np.uint16]:
        if frame.depth.dtype == np.uint16:
            return np.asarray(frame.depth)
        units = np.rint(frame.millimetres() / FLOAT_UNIT_MM)
        return np.where((units >= 0) & (units <= 65535), units, 0).astype(np.uint16)


def _png(pixels: NDArray[Any]) -> bytes:
    _, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return bytes(content)

"""YuNet (Wu, Peng and Yu, YuNet: a tiny millisecond-level face detector, Machine Intelligence Research 20,
2023), run by OpenCV's own class for it: box and five landmarks.

The network sees the picture at its own size, up to a longest side; larger pictures are shrunk.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from recon_service.detection.detector import DetectorKind, FaceDetector, Faces, OneByOne
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device

LONGEST_SIDE: Final = 640
"""Of what the network sees; it was trained at 640 and finds faces from 10 to 300 pixels."""
SILENT: Final = 0
"""OpenCV's level of its log."""
SHORTEST_SIDE: Final = 32
"""Its coarsest grid has cells of 32 pixels: less is padded."""


class YuNet(OneByOne):
    """The detector; behind a lock, because OpenCV's networks are not re-entrant."""

    name: str = "yunet"
    device: Device = Device.CPU

    def __init__(self, weights: Path, *, min_score: float = 0.7, max_overlap: float = 0.3) -> None:
        # It asks for a target that the engine ignores, and the engine would say so on standard error.
        spoken = cv2.utils.logging.setLogLevel(SILENT)
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(weights), "", (LONGEST_SIDE, LONGEST_SIDE), min_score, max_overlap
            )
        finally:
            cv2.utils.logging.setLogLevel(spoken)
        self._lock = threading.Lock()

    def detect(self, image: Image) -> Faces:
        """Faces in ``image``, highest score first, each with its five landmarks."""
        scale = min(1.0, LONGEST_SIDE / max(image.width, image.height))
        pixels = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2BGR)
        if scale < 1:
            pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        bottom, right = (max(SHORTEST_SIDE - length, 0) for length in pixels.shape[:2])
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
        with self._lock:
            self._net.setInputSize((pixels.shape[1], pixels.shape[0]))
            _, found = self._net.detect(pixels)
        # None where there is no face.
        rows = np.asarray(found if found is not None else np.empty((0, 15)), dtype=np.float64)
        rows[:, :14] /= scale
        faces = [
            DetectedFace(
                box=(row[0], row[1], row[0] + row[2], row[1] + row[3]),
                score=min(max(float(row[14]), 0.0), 1.0),
                keypoints=row[4:14].reshape(5, 2),
                scheme="five",
            )
            for row in rows
            if row[2] > 0 and row[3] > 0
        ]
        return tuple(sorted(faces, key=lambda face: -face.score))


def _build(weights: Sequence[Path], _device: Device, _base: FaceDetector | None) -> FaceDetector:
    return YuNet(weights[0])


DETECTOR = DetectorKind(
    name="yunet", title="YuNet, OpenCV's own", scheme="five", weights=("yunet",), build=_build
)

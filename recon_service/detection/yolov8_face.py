"""YOLOv8-face, size lite-t: box and five landmarks.

Input: the picture letterboxed to 640 x 640, RGB in [0, 1]. Output, for each of three strides and each cell,
80 numbers: four distances from the cell's center to the box's sides (left, top, right, bottom), each the
mean of a distribution over 16 bins (Li et al., Generalized focal loss, NeurIPS 2020), in strides; the logit
of a face; five landmarks as x, y and visibility.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import expit, softmax

from recon_service.detection.detector import ONNX_RUNTIME, DetectorKind, Device, FaceDetector, Faces
from recon_service.detection.letterbox import Fitted, letterboxed
from recon_service.detection.onnx_session import Floats, NetworkUnusable, OnnxNetwork
from recon_service.detection.suppression import faces_of
from recon_service.domain.arrays import Array
from recon_service.domain.images import Image

SIDE: Final = 640
STRIDES: Final = (8, 16, 32)
BINS: Final = 16
NUMBERS: Final = 4 * BINS + 1 + 15


class YoloV8Face:
    """The detector; thread-safe."""

    name: str = "yolov8_face"

    def __init__(
        self,
        weights: Path,
        device: Device = Device.AUTO,
        *,
        min_score: float = 0.5,
        max_overlap: float = 0.45,
    ) -> None:
        self._net = OnnxNetwork(weights, device)
        cells = {SIDE // stride: stride for stride in STRIDES}
        shapes = [tuple(shape[1:]) for shape in self._net.output_shapes]
        if sorted(shapes, key=str) != sorted(((NUMBERS, n, n) for n in cells), key=str):
            raise NetworkUnusable(f"{weights.name} does not have YOLOv8-face's outputs at {SIDE} pixels.")
        self._strides = [cells[int(shape[1] or 0)] for shape in shapes]
        self._min_score, self._max_overlap = min_score, max_overlap

    @property
    def device(self) -> Device:
        return self._net.device

    def detect(self, image: Image) -> Faces:
        """Faces in ``image``, highest score first, each with its five landmarks."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> tuple[Faces, ...]:
        """The same of each image."""
        if not images:
            return ()
        fitted = [letterboxed(image.pixels, SIDE) for image in images]
        inputs = np.stack([each.pixels for each in fitted]).transpose(0, 3, 1, 2)
        outputs = self._net.run(np.asarray(inputs / np.float32(255), np.float32))
        return tuple(self._faces(fit, [each[i] for each in outputs]) for i, fit in enumerate(fitted))

    def _faces(self, fit: Fitted, outputs: Sequence[Floats]) -> Faces:
        parts = [
            decoded(output, stride, self._min_score)
            for output, stride in zip(outputs, self._strides, strict=True)
        ]
        corners, scores, points = (np.concatenate(each) for each in zip(*parts, strict=True))
        return faces_of(
            fit.to_picture(corners).reshape(-1, 4),
            scores,
            fit.to_picture(points),
            scheme="five",
            max_overlap=self._max_overlap,
        )


def decoded(output: Floats, stride: int, min_score: float) -> tuple[Array, Array, Array]:
    """Candidates of one stride: corners (N, 2, 2), scores (N,), landmarks (N, 5, 2) in pixels of the input.

    output: (80, cells, cells).
    """
    score = expit(output[4 * BINS].astype(np.float64))
    row, column = np.nonzero(score >= min_score)
    numbers = output[:, row, column].T.astype(np.float64)
    cell = np.stack([column, row], axis=1).astype(np.float64)
    center = cell + 0.5
    distances = softmax(numbers[:, : 4 * BINS].reshape(-1, 4, BINS), axis=2) @ np.arange(BINS)
    corners = np.stack([center - distances[:, :2], center + distances[:, 2:]], axis=1)
    points = 2 * numbers[:, 4 * BINS + 1 :].reshape(-1, 5, 3)[..., :2] + cell[:, None]
    return corners * stride, score[row, column], points * stride


def _build(weights: Sequence[Path], device: Device, _base: FaceDetector | None) -> FaceDetector:
    return YoloV8Face(weights[0], device)


DETECTOR = DetectorKind(
    name="yolov8_face",
    title="YOLOv8-face lite-t",
    scheme="five",
    weights=("yolov8-face",),
    packages=(ONNX_RUNTIME,),
    build=_build,
)

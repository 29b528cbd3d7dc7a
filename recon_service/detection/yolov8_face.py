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

from recon_service.detection.detector import ONNX_RUNTIME, DetectorKind, FaceDetector
from recon_service.detection.letterboxed_network import Candidates, YoloFace
from recon_service.detection.onnx_session import Floats, NetworkUnusable, OnnxNetwork
from recon_service.networks.onnx_runtime import Device

SIDE: Final = 640
STRIDES: Final = (8, 16, 32)
BINS: Final = 16
NUMBERS: Final = 4 * BINS + 1 + 15


class YoloV8Face(YoloFace):
    """The detector; thread-safe."""

    name = "yolov8_face"

    def __init__(
        self,
        weights: Path,
        device: Device = Device.AUTO,
        *,
        min_score: float = 0.5,
        max_overlap: float = 0.45,
    ) -> None:
        net = OnnxNetwork(weights, device)
        cells = {SIDE // stride: stride for stride in STRIDES}
        shapes = [tuple(shape[1:]) for shape in net.output_shapes]
        if sorted(shapes, key=str) != sorted(((NUMBERS, n, n) for n in cells), key=str):
            raise NetworkUnusable(f"{weights.name} does not have YOLOv8-face's outputs at {SIDE} pixels.")
        strides = [cells[int(shape[1] or 0)] for shape in shapes]
        super().__init__(net, side=SIDE, strides=strides, min_score=min_score, max_overlap=max_overlap)

    def _decoded(self, output: Floats, stride: int) -> Candidates:
        return decoded(output, stride, self._min_score)


def decoded(output: Floats, stride: int, min_score: float) -> Candidates:
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

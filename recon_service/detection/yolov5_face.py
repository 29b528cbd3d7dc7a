"""YOLOv5-face (Qi et al., YOLO5Face: why reinventing a face detector, ECCV workshops 2022), size n-0.5: box
and five landmarks.

Input: the picture letterboxed to 640 x 640, RGB in [0, 1]. Output: for each of three strides, three anchors
and each cell, 16 numbers: box center and size, logit of an object, five landmarks, logit of the class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import expit

from recon_service.detection.detector import ONNX_RUNTIME, DetectorKind, FaceDetector
from recon_service.detection.letterboxed_network import Candidates, YoloFace
from recon_service.detection.onnx_session import Floats, NetworkUnusable, OnnxNetwork
from recon_service.networks.onnx_runtime import Device

SIDE: Final = 640
NUMBERS: Final = 16
ANCHORS: Final = {
    8: ((4, 5), (8, 10), (13, 16)),
    16: ((23, 29), (43, 55), (73, 105)),
    32: ((146, 217), (231, 300), (335, 433)),
}
"""Width and height of the anchors of each stride, pixels of the input."""


class YoloV5Face(YoloFace):
    """The detector; thread-safe."""

    name = "yolov5_face"

    def __init__(
        self,
        weights: Path,
        device: Device = Device.AUTO,
        *,
        min_score: float = 0.55,
        max_overlap: float = 0.45,
    ) -> None:
        net = OnnxNetwork(weights, device)
        cells = {SIDE // stride: stride for stride in ANCHORS}
        shapes = [tuple(shape[1:]) for shape in net.output_shapes]
        if sorted(shapes, key=str) != sorted(((3, n, n, NUMBERS) for n in cells), key=str):
            raise NetworkUnusable(f"{weights.name} does not have YOLOv5-face's outputs at {SIDE} pixels.")
        strides = [cells[int(shape[1] or 0)] for shape in shapes]
        super().__init__(net, side=SIDE, strides=strides, min_score=min_score, max_overlap=max_overlap)

    def _decoded(self, output: Floats, stride: int) -> Candidates:
        return decoded(output, stride, self._min_score)


def decoded(output: Floats, stride: int, min_score: float) -> Candidates:
    """Candidates of one stride: corners (N, 2, 2), scores (N,), landmarks (N, 5, 2) in pixels of the input.

    output: (3, cells, cells, 16), anchor, row, column.
    """
    score = expit(output[..., 4].astype(np.float64)) * expit(output[..., 15].astype(np.float64))
    anchor, row, column = np.nonzero(score >= min_score)
    numbers = output[anchor, row, column].astype(np.float64)
    cell = np.stack([column, row], axis=1).astype(np.float64)
    sizes = np.array(ANCHORS[stride], dtype=np.float64)[anchor]
    center = (2 * expit(numbers[:, 0:2]) - 0.5 + cell) * stride
    size = (2 * expit(numbers[:, 2:4])) ** 2 * sizes
    points = numbers[:, 5:15].reshape(-1, 5, 2) * sizes[:, None] + (cell * stride)[:, None]
    return np.stack([center - size / 2, center + size / 2], axis=1), score[anchor, row, column], points


def _build(weights: Sequence[Path], device: Device, _base: FaceDetector | None) -> FaceDetector:
    return YoloV5Face(weights[0], device)


DETECTOR = DetectorKind(
    name="yolov5_face",
    title="YOLOv5-face n-0.5",
    scheme="five",
    weights=("yolov5-face",),
    packages=(ONNX_RUNTIME,),
    build=_build,
)

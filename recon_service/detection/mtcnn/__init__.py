"""MTCNN (Zhang et al., Joint face detection and alignment using multi-task cascaded convolutional networks,
IEEE Signal Processing Letters 23(10), 2016): box and five landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recon_service.detection.detector import DetectorKind, FaceDetector
from recon_service.detection.mtcnn.cascade import Mtcnn
from recon_service.networks.onnx_runtime import Device

__all__ = ["DETECTOR", "Mtcnn"]


def _build(weights: Sequence[Path], _device: Device, _base: FaceDetector | None) -> FaceDetector:
    pnet, rnet, onet = weights
    return Mtcnn(pnet, rnet, onet)


DETECTOR = DetectorKind(
    name="mtcnn",
    title="MTCNN, three networks in numpy",
    scheme="five",
    weights=("mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"),
    build=_build,
)

"""FaceBoxes (Zhang et al., FaceBoxes: a CPU real-time face detector with high accuracy, IJCB 2017): a box
without landmarks, as 3DDFA-V2 uses it.

The network is written out in ``third_party/tddfa_v2`` and becomes an ONNX graph when the detector is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from recon_service.detection.detector import (
    ONNX_RUNTIME,
    DetectorKind,
    FaceDetector,
    Faces,
    OneByOne,
)
from recon_service.detection.onnx_session import NetworkUnusable, OnnxNetwork
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device
from recon_service.networks.safetensors import read_safetensors

SMALLEST_SIDE: Final = 32
"""Below, the coarsest grid would be empty."""


class FaceBoxes(OneByOne):
    """The detector; thread-safe. Pictures of different sizes cannot share a run, so each has its own."""

    name: str = "faceboxes"

    def __init__(self, weights: Path, device: Device = Device.AUTO) -> None:
        from third_party.tddfa_v2 import graphs

        try:
            content = graphs.detector(read_safetensors(weights))
        except (InvalidValue, KeyError) as fault:
            raise NetworkUnusable(
                f"{weights.name} does not hold FaceBoxes' parameters.",
                next_step="Pull or convert it again: recon weights convert faceboxes.",
            ) from fault
        self._net = OnnxNetwork(content, device)

    @property
    def device(self) -> Device:
        return self._net.device

    def detect(self, image: Image) -> Faces:
        """Faces in ``image``, highest score first, without landmarks."""
        from third_party.tddfa_v2 import boxes

        if min(image.width, image.height) < SMALLEST_SIDE:
            return ()
        inputs, scale = boxes.network_input(image.pixels)
        offsets, scores = self._net.run(inputs[None])
        found = boxes.faces(offsets[0], scores[0], inputs.shape[1], inputs.shape[2], scale)
        return tuple(
            DetectedFace(
                box=(float(left), float(top), float(right), float(bottom)),
                score=min(max(float(score), 0.0), 1.0),
                keypoints=np.empty((0, 2)),
                scheme="none",
            )
            for left, top, right, bottom, score in found
            if right > left and bottom > top
        )


def _build(weights: Sequence[Path], device: Device, _base: FaceDetector | None) -> FaceDetector:
    return FaceBoxes(weights[0], device)


DETECTOR = DetectorKind(
    name="faceboxes",
    title="FaceBoxes, boxes only",
    scheme="none",
    weights=("faceboxes",),
    packages=(ONNX_RUNTIME, ("onnx", "cpu")),
    build=_build,
)

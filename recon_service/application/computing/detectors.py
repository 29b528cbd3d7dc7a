"""All detectors by name: those of ``detection/``, and those that join a detector with another stage's
landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from recon_service.detection.detector import DetectorKind, FaceDetector, Faces, Locate, OneByOne
from recon_service.detection.registry import DetectorRegistry, by_name, own_kinds
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction.facemesh.landmarker import FaceMeshLandmarker

MIN_PRESENCE: Final = 0.5
"""Below, FaceMesh says that there is no face in the box."""


class MediaPipeFaceMesh(OneByOne):
    """FaceMesh's 468 landmarks on the boxes of another detector, whose scores stay."""

    name: str = "mediapipe"
    device: Device = Device.CPU

    def __init__(self, base: FaceDetector, landmarker: FaceMeshLandmarker) -> None:
        self._base, self._landmarker = base, landmarker

    def detect(self, image: Image) -> Faces:
        """Faces that FaceMesh confirms, highest score first."""
        found = []
        for face in self._base.detect(image):
            landmarks = self._landmarker.landmarks(image, face)
            if landmarks.presence >= MIN_PRESENCE:
                found.append(replace(face, keypoints=landmarks.points, scheme=landmarks.scheme))
        return tuple(found)


def _build(weights: Sequence[Path], _device: Device, base: FaceDetector | None) -> FaceDetector:
    if base is None:
        raise ValueError("FaceMesh needs a detector that finds the boxes")
    return MediaPipeFaceMesh(base, FaceMeshLandmarker(weights[0], passes=2))


FACEMESH: Final = DetectorKind(
    name=MediaPipeFaceMesh.name,
    title="MediaPipe, short range and FaceMesh",
    scheme="facemesh468",
    weights=("face-landmark",),
    base="mediapipe_simple",
    build=_build,
)


@cache
def detector_kinds() -> Mapping[str, DetectorKind]:
    """Every kind by name."""
    return by_name([*own_kinds().values(), FACEMESH])


def detector_registry(locate: Locate) -> DetectorRegistry:
    """All detectors, their files found by ``locate``."""
    return DetectorRegistry(detector_kinds(), locate)

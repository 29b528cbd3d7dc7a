"""Put the detectors together from the model files that are there: a part of the composition root."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from recon_service.alignment.landmarks import DenseTemplate
from recon_service.application.computing.detectors import FACEMESH, detector_registry
from recon_service.canonical_model import load_builtin, load_landmark_model
from recon_service.detection.detector import FaceDetector
from recon_service.detection.registry import DetectorRegistry
from recon_service.weights import WeightStore, bundled_directory
from recon_service.weights.derived import locate_derived

DEFAULT_DETECTOR: Final = FACEMESH.name
"""Chosen by measurement: docs/detectors.md."""


def load_detectors() -> DetectorRegistry:
    """All detectors, their files found as the environment variables say, also those of the user's own."""
    store = WeightStore.from_environment()
    derived = {file.name for file in store.manifest.derived}

    def locate(name: str) -> Path:
        return locate_derived(store, name) if name in derived else store.locate(name)

    return detector_registry(locate)


def load_detector(name: str = DEFAULT_DETECTOR) -> FaceDetector:
    """The detector that finds the faces of the service's pictures, on a GPU where it can have one.

    FaceMesh is laid on every face that is found, whoever finds it; so of ``mediapipe`` itself only the
    detector below it is loaded.

    Raises UnknownDetector, DetectorUnavailable or WeightsUnavailable, each naming what mends it.
    """
    return load_detectors().build(_finder(name))


def check_detector(name: str) -> None:
    """Whether ``load_detector`` would succeed, without loading a network; raises what it would raise."""
    load_detectors().check(_finder(name))


def _finder(name: str) -> str:
    return FACEMESH.base if name == FACEMESH.name and FACEMESH.base is not None else name


def load_dense_template() -> DenseTemplate:
    """Of FaceMesh's landmarks, from the built-in model."""
    path = bundled_directory() / "builtin.npz"
    landmarks = load_landmark_model(path, load_builtin(path))
    return DenseTemplate.of_shape(landmarks.scheme, landmarks.points.mean)

"""Model files: declared in a manifest, pulled from where they are published, verified before every use.

>>> from recon_service.weights import locate
>>> locate("face-landmark")  # doctest: +SKIP
PosixPath('.../weights/mediapipe/face_landmark.tflite')
"""

from __future__ import annotations

from pathlib import Path

from recon_service.weights.errors import WeightsAltered, WeightsMissing, WeightsNotAllowed
from recon_service.weights.places import bundled_directory
from recon_service.weights.store import State, WeightStore

__all__ = [
    "State",
    "WeightStore",
    "WeightsAltered",
    "WeightsMissing",
    "WeightsNotAllowed",
    "bundled_directory",
    "locate",
]


def locate(name: str) -> Path:
    """The verified model file of that name (or manifest path), found as the environment variables say.

    Raises
    ------
    UnknownWeights, WeightsNotAllowed, WeightsMissing, WeightsAltered
        All are ``WeightsUnavailable`` and name the command that mends it.
    """
    return WeightStore.from_environment().locate(name)

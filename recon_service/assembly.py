"""Put the face pipeline together from the model files that are there: the part of the composition root that
touches no storage.
"""

from __future__ import annotations

import os
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

import cv2

from recon_service.appearance.embedder import FaceEmbedder
from recon_service.appearance.network import load_embedder
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.canonical_model import load_builtin, load_ict, load_landmark_model
from recon_service.canonical_model.builtin import NAME as BUILTIN_NAME
from recon_service.canonical_model.ict import NAME as DENSE_NAME
from recon_service.comparison.appearance import load_appearance_maps
from recon_service.comparison.calibration_file import load_calibration, released_for
from recon_service.detectors import DEFAULT_DETECTOR, load_detector
from recon_service.domain.errors import InvalidValue
from recon_service.domain.morphable_model import MorphableModel
from recon_service.matching import SkinMatching, SurfaceMatcher
from recon_service.presentation_attack.minifasnet import MiniFasNet
from recon_service.reconstruction.facemesh.landmarker import FaceMeshLandmarker
from recon_service.weights import WeightsMissing, WeightsNotAllowed, bundled_directory, locate

BUILTIN = "builtin.npz"
LANDMARK_PASSES = 2
"""The second crop follows the first landmarks: on infrared faces it took the error rate of one depth frame
from 6.7 to 5.5 % (`recon evaluate kinect2`)."""


PICTURE_NETWORKS = {"minifasnet-v2": 2.7, "minifasnet-v1se": 4.0}
"""Name, and how much of the picture it looks at, in sides of the face's box."""
APPEARANCE_AUTO = "auto"
APPEARANCE_OFF = "off"
APPEARANCE_DEFAULT = "edgeface-xs"


class ModelChoice(StrEnum):
    """Which canonical model is used: the dense one where it is there, or one of the two for certain."""

    AUTO = "auto"
    BUILTIN = "builtin"
    DENSE = "dense"


MODEL_NAMES = {ModelChoice.DENSE: DENSE_NAME, ModelChoice.BUILTIN: BUILTIN_NAME}
"""As templates carry them."""


class MatchingDevice(StrEnum):
    """Where the skin of selfies is matched. auto: on a graphics processor where torch finds one."""

    CPU = "cpu"
    AUTO = "auto"
    CUDA = "cuda"


def build_pipeline(
    choice: ModelChoice = ModelChoice.AUTO,
    *,
    appearance: str = APPEARANCE_AUTO,
    matching: MatchingDevice = MatchingDevice.CPU,
    detector: str = DEFAULT_DETECTOR,
) -> FacePipeline:
    """Load detector, landmarker and models, verified against the manifest.

    appearance: see ``load_appearance``. matching: see ``load_matching``. detector: see ``load_detector``.

    Raises WeightsUnavailable, naming the command that mends it, UnknownDetector, DetectorUnavailable, and
    InvalidValue for a device that is not there.
    """
    model = load_model(choice)
    calibration = load_calibration(released_for(model.name))
    return FacePipeline(
        detector=load_detector(detector),
        landmarker=FaceMeshLandmarker(locate("face-landmark"), passes=LANDMARK_PASSES),
        model=model,
        landmark_model=load_landmark_model(bundled_directory() / BUILTIN, model),
        calibration=calibration,
        appearance_maps=calibration.appearance.over(load_appearance_maps()),
        matcher=load_matching(model, matching),
        embedder=load_appearance(appearance),
    )


def load_matching(model: MorphableModel, device: MatchingDevice = MatchingDevice.CPU) -> SkinMatching:
    """What matches skin on this device; torch is loaded only where a graphics processor may be used.

    Raises InvalidValue where one is asked for and torch or the device is not there.
    """
    check_matching(device)
    if device is MatchingDevice.CPU or find_spec("torch") is None:
        return SurfaceMatcher(model)
    from recon_service.matching.batched import BatchedSurfaceMatcher, TorchDevice, torch_device

    if torch_device(TorchDevice(device.value)).type == "cpu":
        return SurfaceMatcher(model)  # two to three times as fast there
    return BatchedSurfaceMatcher(model, device=TorchDevice.CUDA)


def check_matching(device: MatchingDevice) -> None:
    """Raises InvalidValue where a graphics processor is asked for and torch is not there; loads nothing."""
    if device is MatchingDevice.CUDA and find_spec("torch") is None:
        raise InvalidValue(
            "matching on a graphics processor needs torch",
            next_step="Install the extra 'torch', or set RECON_MATCHING_DEVICE=cpu.",
        )


def load_model(choice: ModelChoice = ModelChoice.AUTO) -> MorphableModel:
    """The canonical model. AUTO falls back to the built-in model only when the dense file is missing, never
    when it is altered.
    """
    if choice is not ModelChoice.BUILTIN:
        try:
            return load_ict(locate("ict-face-model"))
        except WeightsMissing:
            if choice is ModelChoice.DENSE:
                raise
    return load_builtin(bundled_directory() / BUILTIN)


def load_picture_networks() -> tuple[MiniFasNet, ...]:
    """The two networks that look for artefacts in color pictures. Raises WeightsUnavailable, InvalidValue."""
    return tuple(MiniFasNet.read(locate(name), scale=scale) for name, scale in PICTURE_NETWORKS.items())


def load_appearance(choice: str = APPEARANCE_AUTO) -> FaceEmbedder | None:
    """The network for appearance: a name of the manifest, the path of an ONNX file, "off" for none, or "auto"
    for EdgeFace xs where its file is there and its license was accepted.

    Raises WeightsUnavailable, InvalidValue.
    """
    if choice == APPEARANCE_OFF:
        return None
    if choice.endswith(".onnx"):
        return load_embedder(Path(choice))
    if choice != APPEARANCE_AUTO:
        return load_embedder(locate(choice), name=choice)
    try:
        return load_embedder(locate(APPEARANCE_DEFAULT), name=APPEARANCE_DEFAULT)
    except (WeightsMissing, WeightsNotAllowed):
        return None


def use_one_thread() -> None:
    """For worker processes: parallelism comes from processes, and small matrices gain nothing from threads.

    Call it before numpy is first imported in a child, that is, from the parent's environment.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    cv2.setNumThreads(1)

"""The files of 3DDFA-V2: which are there, and what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import WeightsUnavailable
from recon_service.networks.safetensors import Arrays, read_safetensors
from recon_service.reconstruction.backend import ModelFiles
from recon_service.reconstruction.session import need_onnx
from third_party.tddfa_v2.basel import LinearShape

DETECTOR, REGRESSOR, WIDE_REGRESSOR = "faceboxes", "tddfa-v2", "tddfa-v2-mb1"
WHITENING, TRIANGLES = "tddfa-v2-whitening", "tddfa-v2-triangles"
BASES, STAND_IN, LANDMARK_BASES = "bfm", "bfm-stand-in", "bfm-sparse68-basis"
CORRESPONDENCE = "tddfa-v2-correspondence"
REMARK = "with the stand-in for the dense Basel bases: for tests and pictures, not for accuracy"


@dataclass(frozen=True)
class Bases:
    """The Basel model. dense: 38,365 points. landmarks: the 68. keypoints: (68,) which vertices those are."""

    dense: LinearShape
    landmarks: LinearShape
    keypoints: NDArray[np.int64]
    triangles: NDArray[np.int64]


def check(files: ModelFiles) -> str:
    """Raises WeightsUnavailable for the first file that is missing; else a remark, or an empty string."""
    need_onnx()
    for name in (DETECTOR, REGRESSOR, WHITENING, TRIANGLES):
        files.locate(name)
    return REMARK if bases_path(files)[1] else ""


def bases_path(files: ModelFiles) -> tuple[Path, bool]:
    """The dense bases, and whether they are the stand-in, which serves only where the user's own are not."""
    try:
        return files.locate_derived(BASES), False
    except WeightsUnavailable as missing:
        try:
            files.locate(LANDMARK_BASES)
            return files.locate(STAND_IN), True
        except WeightsUnavailable:
            raise missing from None


def load_bases(files: ModelFiles) -> Bases:
    """Raises WeightsUnavailable where they are missing or damaged."""
    path, stand_in = bases_path(files)
    dense = _arrays(path)
    shape = LinearShape(*(dense[name].astype(np.float32) for name in ("u", "w_shp", "w_exp")))
    keypoints = dense["keypoints68"].astype(np.int64)
    landmarks = shape.at(keypoints)
    if stand_in:
        # Exact, where the stand-in is rounded to half precision.
        sparse = _arrays(files.locate(LANDMARK_BASES))
        landmarks = LinearShape(*(sparse[name].astype(np.float32) for name in ("u", "w_shp", "w_exp")))
    # Wound inward in the original: turned.
    triangles = np.ascontiguousarray(_arrays(files.locate(TRIANGLES))["tri"][:, ::-1]).astype(np.int64)
    return Bases(shape, landmarks, keypoints, triangles)


def load_whitening(files: ModelFiles) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (62,) of the network's output."""
    arrays = _arrays(files.locate(WHITENING))
    return arrays["mean"].astype(np.float32), arrays["std"].astype(np.float32)


def load_network(files: ModelFiles, name: str) -> Arrays:
    """Parameters by name; ``name`` of a declared or of a derived file."""
    path = files.locate_derived(name) if name == WIDE_REGRESSOR else files.locate(name)
    return read_safetensors(path)


def _arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as fault:
        raise WeightsUnavailable(
            f"{path.name} cannot be read.", next_step="Make or pull it again."
        ) from fault

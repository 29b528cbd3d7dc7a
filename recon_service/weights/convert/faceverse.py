"""FaceVerse's ``faceverse_v4_2.npy``, checked and laid out as the code reads it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid
from recon_service.weights.convert.flame import floats_of, pickle_in_npy, triangles_of
from recon_service.weights.convert.stand_ins import load_flame_pickle
from third_party.faceverse.layout import EXPRESSION_MODES, IDENTITY_MODES

UNITS_PER_MODEL_UNIT: Final = 100.0
HEAD_HEIGHT: Final = (80.0, 800.0)
"""In the file's unit, a millimeter or nearly."""
PARTS: Final = 6
LANDMARKS: Final = 68
LIP, TEETH = 6550, 19496
"""Vertices of the published model whose distance is kept when the mouth opens."""

Arrays = dict[str, NDArray[Any]]


def faceverse_model(content: bytes) -> Arrays:
    """Arrays of the model (V vertices, F triangles; its own unit, a hundredth of the file's):

    mean (V, 3), identity_basis (V, 3, 156), expression_basis (V, 3, 177), triangles (F, 3), landmarks (68,),
    parts (6,), mouth (2,), face (V,). Texture is left behind. Raises OriginalInvalid for other shapes or
    units, PickleRefused for a pickle that asks for more than arrays.
    """
    value = load_flame_pickle(pickle_in_npy(content))
    if not isinstance(value, dict):
        raise OriginalInvalid("The file is no FaceVerse model: it holds no named arrays.")
    mean = np.asarray(value.get("meanshape", ()))
    if mean.size == 0 or mean.size % 3:
        raise OriginalInvalid(f"meanshape is {mean.dtype} {mean.shape}, wanted numbers (any, 3).")
    count = mean.size // 3
    mean = floats_of({"meanshape": mean.reshape(count, 3)}, "meanshape", (count, 3))
    height = float(np.ptp(mean[:, 1]))
    if not HEAD_HEIGHT[0] < height < HEAD_HEIGHT[1]:
        raise OriginalInvalid(
            f"meanshape is {height:g} units high, wanted {HEAD_HEIGHT[0]:g} to {HEAD_HEIGHT[1]:g}: "
            "a head in millimeters."
        )
    identity = floats_of(value, "idBase", (3 * count, IDENTITY_MODES))
    expression = floats_of(value, "exBase", (3 * count, EXPRESSION_MODES))
    landmarks = np.asarray(value.get("keypoints_68", ())).reshape(-1)
    if landmarks.shape != (LANDMARKS,) or landmarks.dtype.kind not in "iuf":
        raise OriginalInvalid(f"keypoints_68 is {landmarks.shape}, wanted ({LANDMARKS},) vertices.")
    landmarks = landmarks.astype(np.int64)
    if not 0 <= landmarks.min() <= landmarks.max() < count:
        raise OriginalInvalid(f"keypoints_68 names a vertex that does not exist; there are {count}.")
    parts = np.asarray(value.get("ver_inds", ())).reshape(-1)[:PARTS].astype(np.int64)
    if parts.shape != (PARTS,) or (np.diff(parts) < 0).any() or parts[0] < 1 or parts[-1] > count:
        raise OriginalInvalid(f"ver_inds is {parts.tolist()}, wanted {PARTS} growing vertex numbers.")
    mask = np.asarray(value.get("face_mask", ())).reshape(-1)
    if mask.dtype.kind not in "biuf":
        raise OriginalInvalid(f"face_mask is {mask.dtype}, wanted numbers.")
    if len(mask) not in (count, int(parts[-1])):
        raise OriginalInvalid(f"face_mask has {len(mask)} entries, wanted one per vertex, {count}.")
    face = np.zeros(count, dtype=bool)
    face[: len(mask)] = mask > 0
    published = count > TEETH and parts[2] <= TEETH < parts[5]
    return {
        "mean": mean / UNITS_PER_MODEL_UNIT,
        "identity_basis": _basis(identity, count),
        "expression_basis": _basis(expression, count),
        "triangles": triangles_of(value, "tri", count),
        "landmarks": landmarks,
        "parts": parts,
        "mouth": np.array([LIP, TEETH] if published else [-1, -1], dtype=np.int64),
        "face": face,
    }


def _basis(rows: NDArray[np.float64], vertices: int) -> NDArray[np.float32]:
    return (rows / UNITS_PER_MODEL_UNIT).reshape(vertices, 3, -1).astype(np.float32)

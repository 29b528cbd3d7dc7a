"""The user's own ``bfm_noneck_v3.pkl``: checked for shape and units, and laid out as the code reads it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid
from recon_service.weights.convert.pickles import load_arrays

VERTICES: Final = 38_365
IDENTITY_MODES, EXPRESSION_MODES, LANDMARKS = 40, 10, 68
FACE_HEIGHT_UM: Final = (100_000.0, 300_000.0)
"""A head without neck is 10 to 30 cm high; the file is in micrometers."""


def basel_bases(content: bytes, *, vertices: int = VERTICES) -> dict[str, NDArray[Any]]:
    """U (V, 3) micrometers, w_shp (V, 3, 40), w_exp (V, 3, 10), keypoints68 (68,), float32 and int32.

    Raises OriginalInvalid for other shapes or units, PickleRefused for a pickle that asks for more.
    """
    value = load_arrays(content)
    if not isinstance(value, dict):
        raise OriginalInvalid("The file holds no bases.")
    mean = _array(value, "u", 3 * vertices, 1).reshape(vertices, 3)
    shape = _array(value, "w_shp", 3 * vertices, IDENTITY_MODES).reshape(vertices, 3, IDENTITY_MODES)
    expression = _array(value, "w_exp", 3 * vertices, EXPRESSION_MODES)
    keypoints = np.asarray(value.get("keypoints", ()))
    if keypoints.size == 3 * LANDMARKS:  # indices of coordinates: x, y, z of each landmark in turn
        keypoints = keypoints.reshape(LANDMARKS, 3)[:, 0] // 3
    if keypoints.shape != (LANDMARKS,) or keypoints.dtype.kind not in "iu":
        raise OriginalInvalid("The file does not say which vertices the 68 landmarks are.")
    if not 0 <= keypoints.min() <= keypoints.max() < vertices:
        raise OriginalInvalid("A landmark of the file is a vertex that does not exist.")
    height = float(np.ptp(mean[:, 1]))
    if not FACE_HEIGHT_UM[0] < height < FACE_HEIGHT_UM[1]:
        raise OriginalInvalid(f"The mean face is {height:g} units high: that is not in micrometers.")
    nose, ears = mean[keypoints[30]], mean[keypoints[[0, 16]]]
    if not (nose[2] > ears[:, 2].max() and ears[0, 0] < ears[1, 0]):
        raise OriginalInvalid("The mean face does not look along z with its left at positive x.")
    return {
        "u": mean,
        "w_shp": shape,
        "w_exp": expression.reshape(vertices, 3, EXPRESSION_MODES),
        "keypoints68": keypoints.astype(np.int32),
    }


def _array(value: dict[Any, Any], name: str, rows: int, columns: int) -> NDArray[np.float32]:
    array = np.asarray(value.get(name, ()))
    if array.dtype.kind != "f" or array.size < rows or array.shape[0] != rows:
        raise OriginalInvalid(f"{name} has the shape {array.shape}, wanted ({rows}, {columns})")
    array = array.reshape(rows, -1)
    if array.shape[1] < columns:
        raise OriginalInvalid(f"{name} has {array.shape[1]} columns, wanted {columns}")
    array = array[:, :columns].astype(np.float32)
    if not np.isfinite(array).all():
        raise OriginalInvalid(f"{name} holds values that are not finite")
    return np.ascontiguousarray(array)

"""FLAME's ``generic_model.pkl`` and DECA's ``landmark_embedding.npy``, checked and laid out as the code reads
them; and the checks that other models share.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid
from recon_service.weights.convert.stand_ins import load_flame_pickle

JOINTS: Final = 5
IDENTITY: Final = slice(0, 100)
EXPRESSION: Final = slice(300, 350)
SHAPE_MODES: Final = 400
HEAD_HEIGHT_M: Final = (0.1, 0.6)
"""A head with or without its neck."""
SUM_TOLERANCE: Final = 0.02
"""Learned weights sum to one only nearly; a transposed or foreign array is far off."""
CONTOUR, FIXED, YAW_ROWS = 17, 51, 79

Arrays = dict[str, NDArray[Any]]


def flame_model(content: bytes) -> Arrays:
    """Arrays of ``generic_model.pkl`` (V vertices, F triangles, meters):

    template (V, 3), shape_basis (V, 3, 150), pose_basis (V, 3, 36), joint_regressor (5, V), parents (5,),
    weights (V, 5), triangles (F, 3). Raises OriginalInvalid for other shapes, units or an impossible tree of
    joints, PickleRefused for a pickle that asks for more than arrays.
    """
    value = load_flame_pickle(content)
    if not isinstance(value, dict):
        raise OriginalInvalid("The file is no FLAME model: it holds no named arrays.")
    template = floats_of(value, "v_template", (None, 3))
    count = len(template)
    modes = floats_of(value, "shapedirs", (count, 3, SHAPE_MODES))
    tree = array_of(value, "kintree_table", (2, JOINTS)).astype(np.int64)
    parents = np.concatenate([[-1], tree[0, 1:]])  # the root's parent is written as the largest number
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents[1:], start=1)):
        raise OriginalInvalid(
            f"kintree_table names the parents {parents.tolist()}: that is no tree of joints."
        )
    weights = floats_of(value, "weights", (count, JOINTS))
    if np.abs(weights.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise OriginalInvalid("weights: the skinning weights of a vertex do not sum to 1.")
    regressor = floats_of(value, "J_regressor", (JOINTS, count))
    if np.abs(regressor.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise OriginalInvalid("J_regressor: a joint is no mean of vertices.")
    height = float(np.ptp(template[:, 1]))
    if not HEAD_HEIGHT_M[0] < height < HEAD_HEIGHT_M[1]:
        raise OriginalInvalid(
            f"v_template is {height:g} units high, wanted {HEAD_HEIGHT_M[0]:g} to {HEAD_HEIGHT_M[1]:g}: "
            "a head in meters, y up."
        )
    return {
        "template": template,
        "shape_basis": np.concatenate([modes[:, :, IDENTITY], modes[:, :, EXPRESSION]], axis=2).astype(
            np.float32
        ),
        "pose_basis": floats_of(value, "posedirs", (count, 3, 9 * (JOINTS - 1))).astype(np.float32),
        "joint_regressor": regressor,
        "parents": parents,
        "weights": weights.astype(np.float32),
        "triangles": triangles_of(value, "f", count),
    }


def flame_landmarks(content: bytes) -> Arrays:
    """Arrays of ``landmark_embedding.npy``: faces and barycentric weights of the 51 fixed landmarks, of the
    contour (79 rows by yaw, 17) and of the full frontal set (68).

    Raises OriginalInvalid for other shapes, PickleRefused for a pickle that asks for more than arrays.
    """
    value = load_flame_pickle(pickle_in_npy(content))
    if not isinstance(value, dict):
        raise OriginalInvalid("The file is no landmark embedding: it holds no named arrays.")
    found: Arrays = {}
    for ours, theirs, shape in (
        ("fixed", "static_lmk", (FIXED,)),
        ("contour", "dynamic_lmk", (YAW_ROWS, CONTOUR)),
        ("full", "full_lmk", (CONTOUR + FIXED,)),
    ):
        faces = array_of(value, f"{theirs}_faces_idx", shape, leading_one=True).astype(np.int64)
        weights = floats_of(value, f"{theirs}_bary_coords", (*shape, 3), leading_one=True)
        if faces.min() < 0:
            raise OriginalInvalid(f"{theirs}_faces_idx names a triangle that does not exist.")
        if np.abs(weights.sum(axis=-1) - 1).max() > 1e-3:
            raise OriginalInvalid(f"{theirs}_bary_coords: the weights of a landmark do not sum to 1.")
        found |= {f"{ours}_faces": faces, f"{ours}_weights": weights}
    return found


def pickle_in_npy(content: bytes) -> bytes:
    """The pickle inside an npy file of one object."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
    except ValueError as fault:
        raise OriginalInvalid("The file is no npy file.") from fault
    if shape != () or dtype != np.dtype("O"):
        raise OriginalInvalid(f"The npy file holds {dtype} {shape}, wanted one object that names arrays.")
    return content[stream.tell() :]


def array_of(
    value: dict[Any, Any], name: str, shape: tuple[int | None, ...], *, leading_one: bool = False
) -> NDArray[Any]:
    """The named array of numbers; leading_one: (1, …) is taken too."""
    if name not in value:
        raise OriginalInvalid(f"The file lacks {name}, wanted {_words(shape)}.")
    array = np.asarray(value[name])
    if leading_one and array.ndim == len(shape) + 1 and len(array) == 1:
        array = array[0]
    fits = array.ndim == len(shape) and all(
        w is None or w == h for w, h in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "fiu" or not array.size:
        raise OriginalInvalid(f"{name} is {array.dtype} {array.shape}, wanted numbers {_words(shape)}.")
    return array


def floats_of(
    value: dict[Any, Any], name: str, shape: tuple[int | None, ...], *, leading_one: bool = False
) -> NDArray[np.float64]:
    """As ``array_of``, as finite float64."""
    array = array_of(value, name, shape, leading_one=leading_one).astype(np.float64)
    if not np.isfinite(array).all():
        raise OriginalInvalid(f"{name} holds values that are not finite.")
    return np.ascontiguousarray(array)


def triangles_of(value: dict[Any, Any], name: str, vertices: int) -> NDArray[np.int64]:
    """The named triangles (F, 3) of so many vertices."""
    triangles = array_of(value, name, (None, 3)).astype(np.int64)
    if triangles.min() < 0 or triangles.max() >= vertices:
        raise OriginalInvalid(f"{name} names a vertex that does not exist; there are {vertices}.")
    return np.ascontiguousarray(triangles)


def _words(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"

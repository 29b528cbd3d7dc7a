"""Model files in the formats that DECA, FLAME and FaceVerse are published in: the same keys, classes and
containers; fewer vertices, made-up numbers."""

from __future__ import annotations

import collections
import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.heads import faceverse, flame_arrays, landmark_table
from tests.networks import resnet50_parameters
from third_party.deca import layout as deca
from third_party.faceverse import layout as faceverse_layout

Arrays = dict[str, NDArray[Any]]


class Ch:
    """What chumpy keeps of a constant in a pickle."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x, self.label, self._dirty_vars, self._itr = x, None, set(), None


class Select:
    """What chumpy keeps of a selection in a pickle."""

    def __init__(self, a: object, idxs: NDArray[Any], shape: tuple[int, ...]) -> None:
        self.a, self.idxs, self.preferred_shape = a, idxs, shape


class CscMatrix:
    """What SciPy kept of a sparse matrix by columns in a pickle."""

    def __init__(self, dense: NDArray[Any]) -> None:
        rows = [np.flatnonzero(column) for column in dense.T]
        self._shape, self.maxprint, self.format = dense.shape, 50, "csc"
        self.data = np.concatenate([column[r] for column, r in zip(dense.T, rows, strict=True)])
        self.indices = np.concatenate(rows).astype(np.int32)
        self.indptr = np.cumsum([0, *map(len, rows)]).astype(np.int32)


_NAMES = {Ch: "chumpy.ch\nCh", Select: "chumpy.reordering\nSelect", CscMatrix: "scipy.sparse.csc\ncsc_matrix"}
"""Under which names a pickle of the original has the classes; nobody needs them to be importable."""


class _Python2Pickler(pickle._Pickler):
    """Writes strings and bytes as Python 2 did: one opcode for both, without an encoding."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj in _NAMES:
            self.write(pickle.GLOBAL + f"{_NAMES[obj]}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch = pickle._Pickler.dispatch.copy()

    def _text(self, text: str | bytes) -> None:
        content = text.encode("latin-1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)
        self.memoize(text)

    dispatch[str] = _text
    dispatch[bytes] = _text


def python2_pickle(value: object) -> bytes:
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def flame_values(seed: int = 0) -> dict[str, Any]:
    """The dictionary in ``generic_model.pkl``."""
    ours = flame_arrays(np.random.default_rng(seed))
    count = len(ours["template"])
    modes = np.full((count, 3, 400), np.nan)  # those that nobody may look at
    modes[:, :, :100], modes[:, :, 300:350] = ours["shape_basis"][:, :, :100], ours["shape_basis"][:, :, 100:]
    modes[:, :, 100:300], modes[:, :, 350:] = 7.0, -7.0
    order = np.random.default_rng(1).permutation(count * 3)
    return {
        "f": ours["triangles"].astype(np.uint32),
        "v_template": Select(Ch(ours["template"].ravel()[np.argsort(order)]), order, (count, 3)),
        "shapedirs": Ch(modes),
        "posedirs": ours["pose_basis"],
        "J_regressor": CscMatrix(ours["joint_regressor"]),
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.uint32),
        "weights": Ch(np.asfortranarray(ours["weights"])),
        "J": np.zeros((5, 3)),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def generic_model(**changes: Any) -> bytes:
    """``generic_model.pkl``; a value of None leaves the key out."""
    values = {**flame_values(), **changes}
    return python2_pickle({name: value for name, value in values.items() if value is not None})


def landmark_values() -> dict[str, Any]:
    """The dictionary in ``landmark_embedding.npy``."""
    import torch

    table = landmark_table(flame_arrays(np.random.default_rng(0))["triangles"])
    return {
        "static_lmk_faces_idx": table.fixed.faces,
        "static_lmk_bary_coords": table.fixed.barycentric,
        "dynamic_lmk_faces_idx": torch.from_numpy(table.contour.faces),
        "dynamic_lmk_bary_coords": torch.from_numpy(table.contour.barycentric.astype(np.float32)),
        "full_lmk_faces_idx": table.full.faces[None],
        "full_lmk_bary_coords": table.full.barycentric[None],
    }


def object_npy(value: object) -> bytes:
    """An npy file of one Python object."""
    stream = io.BytesIO()
    holder = np.empty((), dtype=object)
    holder[()] = value
    np.save(stream, holder, allow_pickle=True)
    return stream.getvalue()


def landmark_embedding(**changes: Any) -> bytes:
    values = {**landmark_values(), **changes}
    return object_npy({name: value for name, value in values.items() if value is not None})


def deca_parameters(seed: int = 0) -> Arrays:
    """``E_flame`` of a random encoder that finds frontal faces in the middle of the crop."""
    rng = np.random.default_rng(seed)
    found = resnet50_parameters(rng, prefix="encoder.")
    spread = np.zeros(deca.OUTPUTS)
    spread[deca.SHAPE], spread[deca.EXPRESSION], spread[deca.POSE] = 0.5, 0.3, 0.1
    spread[deca.CAMERA] = 0.01, 0.003, 0.003
    spread[deca.TEXTURE] = spread[deca.LIGHT] = 0.5
    middle = np.zeros(deca.OUTPUTS)
    middle[deca.CAMERA] = 8.0, 0.0, -0.0
    found["layers.0.weight"] = (rng.standard_normal((1024, 2048)) * 2048**-0.5).astype(np.float32)
    found["layers.0.bias"] = np.zeros(1024, np.float32)
    last = rng.standard_normal((deca.OUTPUTS, 1024)) * 1024**-0.5
    found["layers.2.weight"] = (spread[:, None] * last).astype(np.float32)
    found["layers.2.bias"] = middle.astype(np.float32)
    return found


def faceverse_parameters(seed: int = 0) -> Arrays:
    """Parameters of a random FaceVerse encoder, likewise."""
    rng = np.random.default_rng(seed)
    found = resnet50_parameters(rng, prefix="backbone.")
    for index, (outputs, spread) in enumerate(
        zip(faceverse_layout.HEADS, (0.5, 0.3, 0.3, 0.3, 0.1, 0.05, 0.2, 0.1), strict=True)
    ):
        weight = spread * rng.standard_normal((outputs, 2048, 1, 1)) * 2048**-0.5
        found[f"final_layers.{index}.weight"] = weight.astype(np.float32)
        found[f"final_layers.{index}.bias"] = np.zeros(outputs, np.float32)
    return found


def checkpoint(value: object, *, legacy: bool = False) -> bytes:
    """What ``torch.save`` writes, in its present or its first format."""
    import torch

    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def tensors_of(arrays: Arrays) -> dict[str, Any]:
    import torch

    return collections.OrderedDict((name, torch.from_numpy(array)) for name, array in arrays.items())


def deca_model(parameters: Arrays, *, legacy: bool = False) -> bytes:
    """``deca_model.tar``."""
    detail = tensors_of({"encoder.conv1.weight": np.zeros((2, 3))})
    return checkpoint(
        {"E_flame": tensors_of(parameters), "E_detail": detail, "D_detail": detail}, legacy=legacy
    )


def faceverse_values() -> dict[str, Any]:
    """The dictionary in ``faceverse_v4_2.npy``."""
    head = faceverse()
    count = len(head.mean)
    return {
        "idBase": (100 * head.identity_basis).reshape(3 * count, -1).astype(np.float32),
        "exBase": (100 * head.expression_basis).reshape(3 * count, -1).astype(np.float32),
        "texBase": np.zeros((3 * count, 251), np.float32),
        "meanshape": (100 * head.mean).astype(np.float32),
        "meantex": np.zeros((count, 3), np.float32),
        "tri": head.triangles.astype(np.int32),
        "point_buf": np.zeros((count, 8), np.int32),
        "keypoints": np.arange(370),
        "keypoints_68": head.landmarks.reshape(1, 68),
        "keypoints_mediapipe": np.arange(478) % count,
        "keypoints_name_list": {"out_17": list(range(17))},
        "ver_inds": [int(part) for part in head.parts],
        "tri_inds": [1, 2],
        "face_mask": head.face.astype(np.float32),
        "parsing": {"skin": head.face.astype(np.float32)},
    }


def faceverse_file(**changes: Any) -> bytes:
    """``faceverse_v4_2.npy``; a value of None leaves the key out."""
    values = {**faceverse_values(), **changes}
    return object_npy({name: value for name, value in values.items() if value is not None})

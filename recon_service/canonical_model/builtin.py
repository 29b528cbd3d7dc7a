"""The built-in model and the landmark observation model: one small file that ships with the code.

``weights/build_builtin.py`` makes it. It holds the canonical model at FaceMesh's 468 landmark positions,
and what FaceMesh sees of the surface: offset, response to identity and covariances, the latter as a
low-rank factor plus a diagonal.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from recon_service.canonical_model.space import SPACE
from recon_service.domain.arrays import AnyArray, Array
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import LinearPoints, MorphableModel

NAME = "ict-facemesh468-builtin"
SCHEME = "facemesh468"
MIN_FACING = 0.15
ARRAYS = frozenset(
    {
        *(
            "mean",
            "identity",
            "expression",
            "normals",
            "triangles",
            "on_skin",
            "usable",
            "offset",
            "response",
        ),
        *("dense_corners", "dense_barycentric"),
        *("shared_factor", "shared_rest", "per_image_factor", "per_image_rest"),
    }
)
"""What the file holds, beside its attribution."""


def load_builtin(path: Path) -> MorphableModel:
    """The 468-vertex model with FaceMesh's triangles. Raises WeightsUnavailable if the file is damaged."""
    arrays = _read(path)
    vertices = _vertices(arrays)
    seen_in_depth = arrays["usable"] & arrays["on_skin"] & (vertices.normals[:, 2] > MIN_FACING)
    triangles = arrays["triangles"].astype(np.int64)
    return MorphableModel(
        name=NAME,
        space=SPACE,
        vertices=vertices,
        triangles=triangles,
        skin=np.asarray(arrays["on_skin"][triangles].all(axis=1)),
        surface=np.flatnonzero(seen_in_depth),
    )


def load_landmark_model(path: Path, model: MorphableModel) -> LandmarkModel:
    """FaceMesh's observation model on ``model`` (built-in or dense). Raises WeightsUnavailable if the file
    is damaged.
    """
    arrays = _read(path)
    surface = model.vertices if model.name == NAME else dense_points(path, model)
    apparent = LinearPoints(
        surface.mean + arrays["offset"],
        surface.identity + arrays["response"].astype(np.float64),
        surface.expression,
        surface.normals,
    )
    return LandmarkModel(
        scheme=SCHEME,
        points=apparent,
        usable=arrays["usable"],
        shared=_covariance(arrays, "shared"),
        per_image=_covariance(arrays, "per_image"),
    )


def dense_points(path: Path, model: MorphableModel) -> LinearPoints:
    """The dense model's surface where the built-in one has its vertices. Raises WeightsUnavailable if the
    file is damaged.
    """
    arrays = _read(path)
    return model.vertices.between(
        arrays["dense_corners"].astype(np.int64), arrays["dense_barycentric"].astype(np.float64)
    )


def _vertices(arrays: dict[str, AnyArray]) -> LinearPoints:
    return LinearPoints(
        arrays["mean"].astype(np.float64),
        arrays["identity"].astype(np.float64),
        arrays["expression"].astype(np.float64),
        arrays["normals"].astype(np.float64),
    )


def _covariance(arrays: dict[str, AnyArray], name: str) -> Array:
    factor = arrays[f"{name}_factor"].astype(np.float64)
    return np.asarray(factor @ factor.T + np.diag(arrays[f"{name}_rest"].astype(np.float64)))


def _read(path: Path) -> dict[str, AnyArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as fault:
        raise WeightsUnavailable(
            "The built-in model cannot be read.", next_step="Restore weights/builtin.npz from the repository."
        ) from fault

"""The dense canonical model: ICT-FaceKit Light as ``recon weights build ict`` writes it."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from recon_service.canonical_model.space import EXPRESSION_MODES, EXPRESSION_SD, IDENTITY_MODES, SPACE
from recon_service.canonical_model.surface import near_border, spread_points
from recon_service.domain.arrays import Array
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import LinearPoints, MorphableModel

NAME = "ict-facekit-light"
SURFACE_POINTS = 1200


def load_ict(path: Path) -> MorphableModel:
    """The 9,409-vertex model, 60 identity modes, 25 expression directions.

    Raises WeightsUnavailable if the file does not hold what it should.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            mean = file["mean"].astype(np.float64)
            identity = file["id_basis"][:IDENTITY_MODES].astype(np.float64)
            expression = reduced_expressions(file["ex_basis"].astype(np.float64))
            triangles = file["tris"].astype(np.int64)
            narrow = int(file["narrow_n"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as fault:
        raise WeightsUnavailable(
            "The dense canonical model cannot be read.",
            next_step="Run: recon weights pull ict_facekit/ict_face_model.npz",
        ) from fault
    vertices = LinearPoints(
        mean,
        np.ascontiguousarray(identity.transpose(1, 2, 0)),
        np.ascontiguousarray(expression.transpose(1, 2, 0)),
        Mesh(mean, triangles).vertex_normals(),
    )
    return MorphableModel(
        name=NAME,
        space=SPACE,
        vertices=vertices,
        triangles=triangles,
        skin=(triangles < narrow).all(axis=1) & ~near_border(triangles, len(mean))[triangles].any(axis=1),
        surface=spread_points(mean, triangles, vertices.normals, narrow=narrow, count=SURFACE_POINTS),
    )


def load_ict_landmarks(path: Path) -> NDArray[np.int64]:
    """(68,) vertices of the dense model that are iBUG's landmarks. Raises WeightsUnavailable."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["ibug68"].astype(np.int64))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as fault:
        raise WeightsUnavailable(
            "The dense canonical model cannot be read.",
            next_step="Run: recon weights pull ict_facekit/ict_face_model.npz",
        ) from fault


def reduced_expressions(basis: Array) -> Array:
    """Leading directions (E, N, 3) of the expressions (56, N, 3), scaled so that a unit coefficient is one
    standard deviation when the original coefficients are independent with EXPRESSION_SD (principal
    components by SVD).
    """
    flat = basis.reshape(len(basis), -1) * EXPRESSION_SD
    _, scale, directions = np.linalg.svd(flat, full_matrices=False)
    return np.asarray(
        (scale[:EXPRESSION_MODES, None] * directions[:EXPRESSION_MODES]).reshape(-1, *basis.shape[1:])
    )

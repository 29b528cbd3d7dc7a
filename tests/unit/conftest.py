"""Shapes whose pictures and depths are known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import trimesh

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.mesh import Mesh


@pytest.fixture
def camera() -> PinholeCamera:
    return PinholeCamera(160, 120, 150.0, 150.0, 79.5, 59.5)


@pytest.fixture
def ball() -> Callable[..., Mesh]:
    def make(radius: float = 80.0, center: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mesh:
        shape = trimesh.creation.icosphere(subdivisions=3, radius=radius)
        return Mesh(np.asarray(shape.vertices) + center, np.asarray(shape.faces, dtype=np.int64))

    return make


@pytest.fixture
def wall() -> Callable[[float], Mesh]:
    def make(z: float, half: float = 400.0) -> Mesh:
        corners = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
        return Mesh(corners, np.array([[0, 2, 1], [0, 3, 2]]))

    return make

"""A smoother mesh through a coarse one, for pictures and simulated captures."""

from __future__ import annotations

from typing import Final

import numpy as np
import trimesh

from recon_service.domain.mesh import Mesh

FINE_TRIANGLES: Final = 8000
"""Below this a face looks faceted in a picture of usual size."""


def subdivided(mesh: Mesh, *, times: int = 1) -> Mesh:
    """Each triangle split in four, ``times`` times, by Loop's scheme: the surface tends to a smooth limit.

    Loop's scheme approximates: it rounds off the coarse vertices by a few tenths of a millimetre on a face of
    468 vertices (the tip of the nose most). Fine for pictures and for simulated ground truth (the subdivided
    mesh *is* the truth), not for measuring.
    """
    vertices, triangles = mesh.vertices, mesh.triangles
    for _ in range(times):
        vertices, triangles = trimesh.remesh.subdivide_loop(vertices, triangles)
    return Mesh(np.asarray(vertices, dtype=np.float64), np.asarray(triangles, dtype=np.int64))


def fine_enough(mesh: Mesh) -> Mesh:
    """``mesh`` itself, or subdivided until it has ``FINE_TRIANGLES`` triangles."""
    times = 0
    while len(mesh.triangles) * 4**times < FINE_TRIANGLES:
        times += 1
    return subdivided(mesh, times=times) if times else mesh

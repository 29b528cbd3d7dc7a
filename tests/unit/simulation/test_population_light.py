from __future__ import annotations

import numpy as np
import trimesh

from recon_service.domain.mesh import Mesh
from recon_service.simulation.population.light import Lamp, Occluder, sample_lighting


def _ball(center=(0.0, 0.0, 0.0), radius: float = 50.0) -> Mesh:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return Mesh(np.asarray(ball.vertices) + center, np.asarray(ball.faces, dtype=np.int64))


def test_a_ball_alone_sees_all_of_its_sky():
    assert Occluder(_ball()).sky().min() > 0.99


def test_a_lamp_reaches_the_near_side_of_a_ball_only():
    ball = _ball()
    lamp = Lamp(np.array([0.0, 0.0, -1.0]), np.ones(3), 0.01)
    seen = Occluder(ball).lamp(lamp, np.random.default_rng(0))
    normals = ball.vertex_normals()
    assert seen[normals[:, 2] < -0.2].min() == 1.0
    assert seen[normals[:, 2] > 0.2].max() == 0.0


def test_one_ball_shades_another():
    both = [_ball(), _ball((0.0, 0.0, -150.0), 25.0)]
    mesh = Mesh(
        np.concatenate([b.vertices for b in both]),
        np.concatenate([both[0].triangles, both[1].triangles + len(both[0].vertices)]),
    )
    lamp = Lamp(np.array([0.0, 0.0, -1.0]), np.ones(3), 0.01)
    seen = Occluder(mesh).lamp(lamp, np.random.default_rng(0))[: len(both[0].vertices)]
    vertices = both[0].vertices
    front = vertices[:, 2] < -15.0
    radius = np.hypot(vertices[:, 0], vertices[:, 1])
    assert seen[front & (radius < 20.0)].max() < 0.2
    assert seen[front & (radius > 30.0)].min() > 0.8


def test_lamps_move_by_about_what_was_asked():
    rng = np.random.default_rng(0)
    angles = []
    for _ in range(100):
        before = sample_lighting(rng)
        assert 1 <= len(before.lamps) <= 3
        for old, new in zip(before.lamps, before.moved(rng, degrees=7.0).lamps, strict=True):
            angles.append(np.rad2deg(np.arccos(np.clip(old.direction @ new.direction, -1, 1))))
    assert 5.0 < np.median(angles) < 12.0

"""Overlay and three views: sizes, places and what must not change. How they look was judged by eye."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from recon_service.canonical_model import load_builtin
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.rendering.overlay import face_focus, overlay_png
from recon_service.rendering.subdivision import fine_enough, subdivided
from recon_service.rendering.views import three_views

BUILTIN = Path(__file__).parents[3] / "weights" / "builtin.npz"


@pytest.fixture(scope="module")
def model():
    return load_builtin(BUILTIN)


def opened(content):
    return np.asarray(PillowImage.open(io.BytesIO(content)))


def test_the_left_half_is_the_photograph_and_the_right_half_shows_the_mesh_in_place(model):
    gray = np.full((400, 400, 3), 90, dtype=np.uint8)
    camera = PinholeCamera(400, 400, 500.0, 500.0, 199.5, 199.5)
    pose = HeadPose.from_angles(yaw=0.0, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 600.0]))
    face = model.mesh(np.zeros(model.identity_modes))
    sheet = opened(
        overlay_png(Image(gray), Mesh(pose.apply(face.vertices), face.triangles), camera, height=320)
    )
    width = (sheet.shape[1] - 6) // 2
    assert sheet.shape[0] == 320
    left, right = sheet[:, :width], sheet[:, -width:]
    assert (left == 90).all()
    assert (right[0] == 90).all(), "nothing of the mesh above the face"
    middle = right[120:200, width // 2 - 40 : width // 2 + 40].astype(int)
    assert (np.abs(middle - 90).max(axis=2) > 3).mean() > 0.9


def test_the_focus_is_one_on_the_face_and_zero_far_from_it(model):
    focus = face_focus(model)
    assert focus.shape == (len(model.vertices),)
    np.testing.assert_array_equal(focus[model.surface], 1.0)
    assert focus.min() >= 0.0


def test_the_views_share_one_scale_and_one_height(model):
    sheet = opened(three_views(model.mesh(np.zeros(model.identity_modes)), height=300))
    panels = np.split(sheet[:260].astype(int), 3, axis=1)
    rows = []
    for panel in panels:
        backdrop = panel[:, :1]
        face = (np.abs(panel - backdrop).max(axis=2) > 20) & (np.arange(260)[:, None] > 40)
        rows.append(np.flatnonzero(face.any(axis=1)))
    tops, bottoms = [r[0] for r in rows], [r[-1] for r in rows]
    assert max(tops) - min(tops) <= 8
    assert max(bottoms) - min(bottoms) <= 8


def test_three_views_are_the_same_every_time(model):
    mesh = model.mesh(np.zeros(model.identity_modes))
    assert three_views(mesh, height=120) == three_views(mesh, height=120)


def test_subdivision_quadruples_the_triangles_and_stays_close(model):
    mesh = model.mesh(np.zeros(model.identity_modes))
    finer = subdivided(mesh)
    assert len(finer.triangles) == 4 * len(mesh.triangles)
    assert np.abs(np.ptp(finer.vertices, axis=0) - np.ptp(mesh.vertices, axis=0)).max() < 4.0
    assert fine_enough(finer).vertices.shape[0] > finer.vertices.shape[0]

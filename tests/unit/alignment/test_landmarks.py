from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.alignment.five_points import TEMPLATE, align
from recon_service.alignment.landmarks import DenseTemplate, align_face, by_named_places
from recon_service.assembly import BUILTIN
from recon_service.canonical_model import load_builtin, load_landmark_model
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.landmark_schemes import SCHEMES
from recon_service.weights import bundled_directory
from tests.images import landmarker, portrait, seen


def face(scheme: str, points: np.ndarray, box: tuple[float, ...] = (0, 0, 100, 130)) -> DetectedFace:
    return DetectedFace(box=box, score=1.0, keypoints=points, scheme=scheme)  # type: ignore[arg-type]


def turned(points: np.ndarray, scale: float, angle: float) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, -s], [s, c]]).T + [40.0, 30.0]


@pytest.fixture(scope="module")
def dense() -> DenseTemplate:
    path = bundled_directory() / BUILTIN
    return DenseTemplate.of_shape("facemesh468", load_landmark_model(path, load_builtin(path)).points.mean)


def test_five_points_give_what_the_five_point_alignment_gives() -> None:
    image, points = Image(pixels=portrait("astronaut")), turned(TEMPLATE, 1.3, 0.2)
    both = (align(image, points), align_face(image, face("five", points)))
    np.testing.assert_array_equal(both[0].pixels, both[1].pixels)


@given(st.floats(0.3, 5), st.floats(-3, 3))
def test_six_points_of_mediapipe_lie_on_the_template(scale: float, angle: float) -> None:
    there = np.vstack([TEMPLATE[:3], TEMPLATE[3:].mean(axis=0), [[10, 60], [100, 60]]])
    onto = by_named_places(face("mediapipe6", turned(there, scale, angle)))
    found = turned(there, scale, angle) @ onto[:, :2].T + onto[:, 2]
    np.testing.assert_allclose(found[:4], there[:4], atol=1e-6)


def test_a_box_alone_brings_the_face_near_the_template() -> None:
    for name in ("astronaut", "grace_hopper"):
        _, _, landmarks = seen(portrait(name))
        assert landmarks is not None
        five = SCHEMES["facemesh468"].five_points(landmarks.points)
        assert five is not None
        low, high = landmarks.points.min(axis=0), landmarks.points.max(axis=0)
        onto = by_named_places(face("none", np.empty((0, 2)), (*low, *high)))
        found = five @ onto[:, :2].T + onto[:, 2]
        assert np.linalg.norm(found - TEMPLATE, axis=1).max() < 18


def test_the_dense_template_has_the_five_points_where_the_other_has_them(dense: DenseTemplate) -> None:
    five = SCHEMES["facemesh468"].five_points(dense.points)
    assert five is not None
    assert np.linalg.norm(five - TEMPLATE, axis=1).max() < 4
    assert 150 < (dense.weights > 0).sum() < 400


@given(st.floats(0.3, 5), st.floats(-3, 3), st.integers(0, 1000))
def test_the_dense_template_comes_back_though_some_landmarks_are_wrong(
    dense: DenseTemplate, scale: float, angle: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    points = turned(dense.points, scale, angle)
    wrong = rng.choice(468, 30, replace=False)
    points[wrong] += scale * rng.normal(scale=30, size=(30, 2))
    onto = dense.map_of(points)
    right = np.setdiff1d(np.arange(468), wrong)
    found = points[right] @ onto[:, :2].T + onto[:, 2]
    np.testing.assert_allclose(found, dense.points[right], atol=1.5)


def test_dense_and_five_point_alignment_of_a_portrait_agree(dense: DenseTemplate) -> None:
    image, faces, _ = seen(portrait("grace_hopper"))
    landmarks = landmarker().landmarks(image, faces[0])
    seen_face = face("facemesh468", landmarks.points)
    onto = dense.map_of(landmarks.points)
    five = SCHEMES["facemesh468"].five_points(landmarks.points)
    assert five is not None
    assert np.linalg.norm(five @ onto[:, :2].T + onto[:, 2] - TEMPLATE, axis=1).max() < 8
    assert align_face(image, seen_face, dense=dense).pixels.shape == (112, 112, 3)

"""The built-in model against the dense one and against the files that it was made from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recon_service.canonical_model import load_builtin, load_ict, load_landmark_model
from recon_service.canonical_model.space import EXPRESSION_MODES, IDENTITY_MODES, SPACE
from recon_service.domain.errors import WeightsUnavailable
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import LinearPoints, MorphableModel
from recon_service.geometry.raycast import cast
from recon_service.weights import bundled_directory
from tests.observations import builtin_model, dense_model, landmark_model

FILE = bundled_directory() / "builtin.npz"


@pytest.fixture(scope="module")
def observation(weights_mirror: Path) -> dict[str, np.ndarray]:
    with np.load(weights_mirror / "ict_facekit" / "facemesh_observation_model.npz") as file:
        return {name: file[name] for name in file.files}


def at_landmarks(mirror: Path, observation: dict[str, np.ndarray]) -> LinearPoints:
    dense = dense_model(mirror)
    return dense.vertices.between(dense.triangles[observation["lt"]], observation["lb"])


def test_the_file_is_small_and_says_where_it_comes_from() -> None:
    assert FILE.stat().st_size <= 1_000_000
    with np.load(FILE, allow_pickle=False) as file:
        attribution = str(file["attribution"])
    assert "ICT-FaceKit" in attribution
    assert "MIT" in attribution
    assert "Apache-2.0" in attribution


def test_sizes_and_space() -> None:
    model = builtin_model()
    assert (len(model.vertices), model.identity_modes, model.expression_modes) == (
        468,
        IDENTITY_MODES,
        EXPRESSION_MODES,
    )
    assert model.space == SPACE


def test_any_face_has_its_landmarks_where_the_dense_model_has_them(
    weights_mirror: Path, observation: dict[str, np.ndarray]
) -> None:
    """The modes are kept in half precision (11 bits): the mean is exact, a face within 0.02 mm."""
    dense, small = at_landmarks(weights_mirror, observation), builtin_model().vertices
    np.testing.assert_allclose(small.mean, dense.mean, atol=1e-4)
    np.testing.assert_allclose(small.normals, dense.normals, atol=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, e = rng.standard_normal(IDENTITY_MODES), rng.standard_normal(EXPRESSION_MODES)
        difference = np.linalg.norm(small.positions(a, e) - dense.positions(a, e), axis=1)
        assert difference.max() < 0.02


def test_both_models_speak_the_same_coefficients(weights_mirror: Path) -> None:
    dense, small = dense_model(weights_mirror), builtin_model()
    assert dense.space == small.space
    assert dense.name != small.name


def test_the_landmark_model_is_that_of_the_mirror(
    weights_mirror: Path, observation: dict[str, np.ndarray]
) -> None:
    small = landmark_model()
    surface = at_landmarks(weights_mirror, observation)
    np.testing.assert_array_equal(small.usable, observation["use"])
    np.testing.assert_allclose(small.points.mean, surface.mean + observation["off"], atol=1e-4)
    response = observation["Mr"].transpose(1, 2, 0)
    np.testing.assert_allclose(small.points.identity, surface.identity + response, atol=5e-3)


@pytest.mark.parametrize(("ours", "theirs"), [("shared", "Cb"), ("per_image", "Cw")])
def test_the_covariances_are_those_of_the_mirror_but_for_the_low_rank(
    observation: dict[str, np.ndarray], ours: str, theirs: str
) -> None:
    kept, full = getattr(landmark_model(), ours), observation[theirs].astype(np.float64)
    np.testing.assert_allclose(np.diag(kept), np.diag(full), rtol=2e-3, atol=2e-3)
    assert np.linalg.norm(kept - full) < 0.03 * np.linalg.norm(full)
    assert np.linalg.eigvalsh(kept).min() > 0, "a covariance of observations is positive definite"
    values = np.sort(np.linalg.eigvalsh(full))[::-1]
    best = np.sqrt((values[60:] ** 2).sum())
    assert np.linalg.norm(kept - full) < 1.1 * best + 1e-3 * np.linalg.norm(full)


def test_the_dense_landmark_model_sees_what_the_built_in_one_sees(weights_mirror: Path) -> None:
    dense = load_landmark_model(FILE, dense_model(weights_mirror))
    small = landmark_model()
    a = np.random.default_rng(1).standard_normal(IDENTITY_MODES)
    np.testing.assert_allclose(dense.points.positions(a), small.points.positions(a), atol=0.03)
    np.testing.assert_array_equal(dense.shared, small.shared)


def test_depth_looks_at_points_that_a_camera_in_front_sees(weights_mirror: Path) -> None:
    """A ray from the front to a point meets no other skin before it, but for a few at the rim."""
    dense = dense_model(weights_mirror)
    mesh = Mesh(dense.vertices.mean, dense.triangles)
    for model, most_hidden in ((builtin_model(), 2), (dense, 4)):
        points = model.vertices.mean[model.surface]
        origins = np.tile([0.0, 0.0, 2000.0], (len(points), 1))
        hit, _, distance, _ = cast(mesh, points - origins, origins=origins)
        before = (1.0 - distance) * np.linalg.norm(points - origins, axis=1)
        assert ((hit >= 0) & (before > 1.0)).sum() <= most_hidden
        assert model.vertices.normals[model.surface, 2].min() > 0.15
        assert len(model.surface) == len(set(model.surface))


def test_triangles_face_outward() -> None:
    model = builtin_model()
    mesh = Mesh(model.vertices.mean, model.triangles)
    outward = np.einsum("ni,ni->n", mesh.vertex_normals(), model.vertices.normals)
    assert (outward > 0).mean() > 0.98


def test_the_face_stands_in_the_head_frame() -> None:
    """x to the subject's left, y up, z out of the face; millimetres."""
    mean = builtin_model().vertices.mean
    right_eye, left_eye, nose, chin, forehead = (mean[k] for k in (33, 263, 1, 152, 10))
    assert left_eye[0] - right_eye[0] == pytest.approx(90.0, abs=15.0), "outer corners of the eyes"
    assert forehead[1] > nose[1] > chin[1]
    assert nose[2] == mean[:, 2].max() or nose[2] > mean[:, 2].max() - 5.0
    assert abs(nose[0]) < 2.0


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"], ids=["empty", "text", "zip"])
def test_a_damaged_file_is_told_with_what_mends_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "builtin.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsUnavailable, match="Restore"):
        load_builtin(path)
    with pytest.raises(WeightsUnavailable, match="Restore"):
        load_landmark_model(path, builtin_model())


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable):
        load_builtin(tmp_path / "none.npz")
    with pytest.raises(WeightsUnavailable, match="recon weights"):
        load_ict(tmp_path / "none.npz")


@pytest.mark.parametrize("load", [load_builtin, load_ict])
def test_an_archive_of_other_arrays_is_told(tmp_path: Path, load: Callable[[Path], MorphableModel]) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, nothing=np.zeros(3))
    with pytest.raises(WeightsUnavailable):
        load(path)


def test_the_script_makes_the_committed_file_again(weights_mirror: Path, tmp_path: Path) -> None:
    script, out = bundled_directory() / "build_builtin.py", tmp_path / "builtin.npz"
    folder = weights_mirror / "ict_facekit"
    inputs = {
        "--ict": folder / "ict_face_model.npz",
        "--registration": folder / "facemesh468_on_ict.npz",
        "--observation": folder / "facemesh_observation_model.npz",
        "--out": out,
    }
    arguments = [str(part) for pair in inputs.items() for part in pair]
    root = bundled_directory().parent
    subprocess.run([sys.executable, str(script), *arguments], check=True, capture_output=True, cwd=root)
    with np.load(FILE) as committed, np.load(out) as made:
        assert sorted(committed.files) == sorted(made.files)
        for name in committed.files:
            one, other = committed[name], made[name]
            assert one.dtype == other.dtype, name
            if name.endswith("_factor"):  # eigenvectors: the sign of each is free
                one, other = (x.astype(np.float64) @ x.astype(np.float64).T for x in (one, other))
            if name.endswith("_factor") or one.dtype.kind == "f":
                np.testing.assert_allclose(
                    one.astype(np.float64), other.astype(np.float64), atol=5e-3, rtol=2e-3, err_msg=name
                )
            else:
                np.testing.assert_array_equal(one, other, err_msg=name)

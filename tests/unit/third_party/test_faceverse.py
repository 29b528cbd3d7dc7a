"""FaceVerse's crop, head, camera and the meaning of its numbers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.heads import faceverse
from tests.images import portrait
from third_party.faceverse.camera import to_camera, to_input
from third_party.faceverse.crop import CropBox, box_of_landmarks, crop_of, sampled
from third_party.faceverse.layout import HEADS, named
from third_party.faceverse.model import FaceVerse, head_rotation

HEAD = faceverse()


def test_the_box_follows_the_rule() -> None:
    points = np.array([[100.0, 80.0], [181.0, 200.9], [140.0, 150.0]])
    crop = crop_of(box_of_landmarks(points))
    # Longer side 120.9 -> 120; center (140.5, 140.45).
    assert crop == CropBox(int(140.5 - 78), int(140.45 - 84), int(140.5 + 78), int(140.45 + 72))


@pytest.mark.parametrize(
    "crop", [CropBox(50, 40, 250, 240), CropBox(-60, -30, 140, 170), CropBox(400, 420, 620, 640)]
)
def test_the_crop_is_black_outside(crop: CropBox) -> None:
    pixels = portrait("astronaut")
    margin = 400
    padded = cv2.copyMakeBorder(pixels, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    part = padded[crop.top + margin : crop.bottom + margin, crop.left + margin : crop.right + margin]
    wanted = cv2.resize(part, (256, 256)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(sampled(pixels, crop), wanted, atol=1e-6)


def test_a_crop_beside_the_picture_is_black() -> None:
    assert not sampled(portrait("astronaut"), CropBox(-300, 0, -100, 200)).any()


def test_zero_gives_the_mean_exactly() -> None:
    np.testing.assert_allclose(HEAD.neutral(np.zeros(156)), HEAD.mean, atol=1e-15)


def test_skin_is_linear_and_agrees_with_a_sum_over_modes() -> None:
    rng = np.random.default_rng(0)
    identity, expression = rng.normal(size=156), rng.normal(size=177)
    got = HEAD.shaped(identity, expression, rng.normal(size=4))
    wanted = HEAD.mean.copy()
    for k, value in enumerate(identity):
        wanted += value * HEAD.identity_basis[:, :, k]
    for k, value in enumerate(expression):
        wanted += value * HEAD.expression_basis[:, :, k]
    skin = slice(0, int(HEAD.parts[0]))
    np.testing.assert_allclose(got[skin], wanted[skin], atol=1e-12)


@pytest.mark.parametrize("eye", [0, 1])
def test_an_eyeball_turns_about_its_center_and_nothing_else_moves(eye: int) -> None:
    eyes = np.zeros(4)
    eyes[2 * eye : 2 * eye + 2] = 0.3, -0.2
    ahead = HEAD.neutral(np.zeros(156))
    turned = HEAD.shaped(np.zeros(156), np.zeros(177), eyes)
    ball = slice(int(HEAD.parts[eye]), int(HEAD.parts[eye + 1]))
    center = ahead[ball].mean(axis=0)
    turn = Rotation.from_euler("xy", eyes[2 * eye : 2 * eye + 2]).as_matrix()
    np.testing.assert_allclose(turned[ball], (ahead[ball] - center) @ turn.T + center, atol=1e-12)
    rest = np.ones(len(ahead), bool)
    rest[ball] = False
    np.testing.assert_array_equal(turned[rest], ahead[rest])


def test_teeth_keep_their_distance_to_the_lip() -> None:
    rng = np.random.default_rng(1)
    vertices = HEAD.shaped(rng.normal(size=156), rng.normal(size=177), np.zeros(4))
    lip, teeth = HEAD.mouth
    assert vertices[teeth, 2] - vertices[lip, 2] == pytest.approx(HEAD.mean[teeth, 2] - HEAD.mean[lip, 2])


def test_the_pose_is_turns_about_x_then_y_then_z() -> None:
    angles = np.array([0.3, -0.5, 0.2])
    np.testing.assert_allclose(
        head_rotation(angles), Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12
    )
    points = np.random.default_rng(2).normal(size=(20, 3))
    translation = np.array([0.1, -0.2, 0.4])
    seen = to_camera(points, angles, translation)
    wanted = points @ (Rotation.from_euler("xyz", angles).as_matrix().T) + translation + [0, 0, 10]
    np.testing.assert_allclose(seen, wanted, atol=1e-12)


def test_the_camera_is_a_pinhole() -> None:
    seen = to_input(np.array([[0.0, 0.0, 10.0], [1.0, 0.5, 10.0], [1.0, 0.5, 20.0]]))
    np.testing.assert_allclose(seen, [[127.5, 127.5], [227.5, 177.5], [177.5, 152.5]])


def test_every_number_has_one_meaning() -> None:
    raw = np.arange(621.0)
    code = named(raw)
    parts = (
        code.identity,
        code.expression,
        code.texture,
        code.light.ravel(),
        code.angles,
        code.translation,
        code.eyes,
    )
    np.testing.assert_array_equal(np.concatenate(parts), raw)
    assert [len(p) for p in parts] == [*HEADS[:5], HEADS[5] + HEADS[6], HEADS[7]]
    with pytest.raises(ValueError, match="621"):
        named(np.zeros(620))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identity_basis", HEAD.identity_basis[:, :, :150]),
        ("landmarks", np.full(68, len(HEAD.mean))),
        ("parts", HEAD.parts[::-1]),
        ("triangles", HEAD.triangles + len(HEAD.mean)),
    ],
)
def test_arrays_that_are_no_faceverse_are_refused(name: str, value: np.ndarray) -> None:
    with pytest.raises(ValueError, match="FaceVerse"):
        FaceVerse(**{**vars(HEAD), name: value})

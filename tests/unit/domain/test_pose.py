from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.domain.pose import FRONTAL, HeadPose

HERE = np.array([0.0, 0.0, 600.0])
NOSE, LEFT, UP = np.eye(3)[[2, 0, 1]]


def turned(**angles: float) -> HeadPose:
    return HeadPose.from_angles(**{"yaw": 0.0, "pitch": 0.0, "roll": 0.0, **angles}, translation=HERE)


def test_a_frontal_head_looks_into_the_camera() -> None:
    np.testing.assert_array_equal(turned().rotation, FRONTAL)
    np.testing.assert_allclose(turned().rotation @ NOSE, [0, 0, -1])
    np.testing.assert_allclose(
        turned().rotation @ LEFT, [1, 0, 0], err_msg="the subject's left is image right"
    )


def test_positive_yaw_turns_to_the_subjects_left() -> None:
    assert (turned(yaw=20.0).rotation @ NOSE)[0] > 0.3


def test_positive_pitch_lifts_the_chin() -> None:
    assert (turned(pitch=20.0).rotation @ NOSE)[1] < -0.3, "y points down: the nose goes up"


def test_positive_roll_tilts_toward_the_subjects_right_shoulder() -> None:
    assert (turned(roll=20.0).rotation @ UP)[0] < -0.3, "the crown moves to the subject's right, image left"


@pytest.mark.parametrize(
    "rotation",
    [np.eye(3) * 1.01, np.diag([1.0, 1.0, -1.0]), np.full((3, 3), np.nan), np.eye(4), np.zeros((3, 3))],
    ids=["scaled", "mirrored", "nan", "4x4", "zero"],
)
def test_what_is_no_rotation_is_refused(rotation: np.ndarray) -> None:
    with pytest.raises(InvalidValue):
        HeadPose(rotation, HERE)


@pytest.mark.parametrize("translation", [np.zeros(2), np.array([0.0, np.inf, 0.0])])
def test_what_is_no_place_is_refused(translation: np.ndarray) -> None:
    with pytest.raises(InvalidValue, match="translation"):
        HeadPose(np.eye(3), translation)

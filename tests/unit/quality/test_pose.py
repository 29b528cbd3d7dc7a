"""Head angles of a known rotation, and their signs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.quality import Verdict
from recon_service.quality.facemesh_points import CHIN, MIRRORED_PAIRS, TOP_OF_FACE
from recon_service.quality.limits import QualityLimits
from recon_service.quality.pose import YAW_RESPONSE, HeadAngles, head_angles, pitch, roll, yaw


def turned(yaw_deg: float, pitch_deg: float, roll_deg: float) -> FaceLandmarks:
    """Landmarks of a symmetric head, turned: first pitch, then yaw, then roll. Frame: x to its left, y up, z
    to the viewer.
    """
    head = np.random.default_rng(3).normal(0, 40, (468, 3))
    for number, (right, left) in enumerate(MIRRORED_PAIRS):
        head[left] = [30 + 5 * number, 12 - 9 * number, -8]
        head[right] = head[left] * [-1, 1, 1]
    head[TOP_OF_FACE], head[CHIN] = [0, 70, 3], [0, -80, 3]
    y, p, r = np.radians([yaw_deg, -pitch_deg, roll_deg])
    pitched = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    yawed = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    rolled = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    image = head @ (rolled @ yawed @ pitched).T * [1, -1, -1]
    return FaceLandmarks(scheme="facemesh468", points=image[:, :2] + 300, depth=image[:, 2], presence=1.0)


@given(st.floats(-70, 70), st.floats(-60, 60), st.floats(-170, 170))
def test_known_rotations_are_recovered(yaw_deg: float, pitch_deg: float, roll_deg: float) -> None:
    angles = head_angles(turned(yaw_deg, pitch_deg, roll_deg))
    assert angles.yaw_deg * YAW_RESPONSE == pytest.approx(yaw_deg, abs=1e-6)
    assert angles.pitch_deg == pytest.approx(pitch_deg, abs=1e-6)
    assert angles.roll_deg == pytest.approx(roll_deg, abs=1e-6)


def test_to_the_own_left_brings_the_nose_to_the_right_of_the_picture() -> None:
    landmarks = turned(30, 0, 0)
    points = landmarks.points.copy()
    assert landmarks.depth is not None
    # The left eye went away from the viewer.
    assert landmarks.depth[263] > landmarks.depth[33]
    assert points[263, 0] > points[33, 0]


def test_hints_say_the_way_back() -> None:
    limits = QualityLimits()
    far = HeadAngles(yaw_deg=60, pitch_deg=45, roll_deg=55)
    other = HeadAngles(yaw_deg=-60, pitch_deg=-45, roll_deg=-55)
    assert yaw(far, limits=limits).hint == "Turn your head a little to the right."
    assert yaw(other, limits=limits).hint == "Turn your head a little to the left."
    assert pitch(far, limits=limits).hint == "Lower your chin a little."
    assert pitch(other, limits=limits).hint == "Raise your chin a little."
    for measure in (yaw, pitch, roll):
        assert measure(far, limits=limits).verdict is Verdict.REJECTED
        assert measure(far, limits=limits).score == measure(other, limits=limits).score


def test_thirty_degrees_to_either_side_are_welcome() -> None:
    for degrees in (-30, 0, 30):
        assert yaw(HeadAngles(degrees, 0, 0), limits=QualityLimits()).verdict is Verdict.GOOD


def test_other_schemes_are_refused() -> None:
    with pytest.raises(InvalidValue):
        head_angles(FaceLandmarks(scheme="ibug68", points=np.zeros((68, 2)), presence=1.0))

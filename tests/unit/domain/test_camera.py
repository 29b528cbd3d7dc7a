from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue

CAMERA = PinholeCamera(width=640, height=480, fx=600.0, fy=590.0, cx=320.5, cy=239.0)


def test_projection_with_distortion_is_that_of_opencv() -> None:
    distortion = (0.1, -0.05, 0.002, -0.003, 0.02)
    camera = replace(CAMERA, distortion=distortion)
    points = np.random.default_rng(0).uniform([-300, -200, 500], [300, 200, 1500], (50, 3))
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array(distortion))
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)


def test_the_axis_hits_the_principal_point() -> None:
    np.testing.assert_allclose(CAMERA.project(np.array([[0.0, 0.0, 700.0]])), [[320.5, 239.0]])


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": 70_000},
        {"fx": 0.0},
        {"fx": -600.0},
        {"fy": 1e6},
        {"fx": float("nan")},
        {"cx": float("inf")},
        {"cx": 5000.0},
        {"cy": -500.0},
        {"distortion": (0.0, 0.0, 0.0, 0.0, float("nan"))},
        {"distortion": (600.0, 0.0, 0.0, 0.0, 0.0)},
    ],
    ids=str,
)
def test_what_no_camera_has_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        replace(CAMERA, **change)


def test_pixels_that_are_not_numbers_have_no_rays() -> None:
    with pytest.raises(InvalidValue, match="pixels"):
        CAMERA.rays(np.array([[np.nan, 3.0]]))

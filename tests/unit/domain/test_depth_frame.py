from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.errors import DepthRejected
from recon_service.domain.images import Image

CAMERA = PinholeCamera(width=8, height=6, fx=10.0, fy=10.0, cx=3.5, cy=2.5)


@pytest.mark.parametrize(
    ("raw", "unit"),
    [
        (np.full((6, 8), 700, np.uint16), 1.0),
        (np.full((6, 8), 7000, np.uint16), 0.1),
        (np.full((6, 8), 0.7, np.float32), 1000.0),
        (np.full((6, 8), 700, np.int32), 1.0),
    ],
)
def test_units_become_millimetres(raw: np.ndarray, unit: float) -> None:
    frame = DepthFrame.from_array(raw, camera=CAMERA, millimetres_per_unit=unit)
    np.testing.assert_allclose(frame.depth, 700.0, rtol=1e-6)
    assert frame.depth.dtype == np.float64


def test_nan_and_infinity_mean_that_nothing_was_measured() -> None:
    raw = np.full((6, 8), 700.0)
    raw[0, 0], raw[1, 1], raw[2, 2] = np.nan, np.inf, -np.inf
    frame = DepthFrame.from_array(raw, camera=CAMERA)
    assert (frame.depth == 0).sum() == 3
    assert (frame.depth == 700).sum() == 45


@pytest.mark.parametrize("unit", [0.0, -1.0, np.nan, np.inf, 1e-5, 1e5])
def test_implausible_scales_are_refused(unit: float) -> None:
    with pytest.raises(DepthRejected, match="scale"):
        DepthFrame.from_array(np.ones((6, 8)), camera=CAMERA, millimetres_per_unit=unit)


@pytest.mark.parametrize(
    "raw",
    [
        np.full((6, 8), -1.0),
        np.full((6, 8), 70_000.0),
        np.full((8, 6), 700.0),
        np.full((6, 8, 1), 700.0),
        np.full((6, 8), "far"),
        np.full((6, 8), 1j),
        np.full((6, 8), True),
    ],
    ids=["negative", "beyond", "transposed", "3D", "text", "complex", "mask"],
)
def test_what_is_no_depth_map_is_refused(raw: np.ndarray) -> None:
    with pytest.raises(DepthRejected) as refused:
        DepthFrame.from_array(raw, camera=CAMERA)
    assert refused.value.code == "depth-rejected"


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(DepthRejected, match="image"):
        DepthFrame(np.full((6, 8), 700.0), CAMERA, image=Image(np.zeros((12, 16, 3), np.uint8)))


def test_a_frame_itself_takes_no_nan() -> None:
    with pytest.raises(DepthRejected):
        DepthFrame(np.full((6, 8), np.nan), CAMERA)


# ---- reading depth


def at(depth: np.ndarray, u: float, v: float) -> tuple[float, bool]:
    got, seen = depth_at(depth, CAMERA, CAMERA.rays(np.array([[u, v]])) * 650.0)
    return float(got[0]), bool(seen[0])


def test_an_edge_and_a_hole_are_not_trusted() -> None:
    depth = np.full((6, 8), 700.0)
    depth[:, 5:] = 730.0
    depth[4, 1] = 0.0
    assert at(depth, 3.5, 2.5) == (pytest.approx(700.0), True)
    assert not at(depth, 4.5, 2.5)[1], "the four pixels straddle the edge"
    assert at(depth, 5.5, 2.5) == (pytest.approx(730.0), True)
    for u, v in ((0.5, 3.5), (1.5, 4.5), (0.5, 4.5), (1.5, 3.5)):
        assert not at(depth, u, v)[1], "each of the four pixels matters"


@pytest.mark.parametrize(("u", "v"), [(-0.1, 2.0), (2.0, -0.1), (7.0, 2.0), (2.0, 5.0), (100.0, 100.0)])
def test_outside_the_map_nothing_is_seen(u: float, v: float) -> None:
    assert not at(np.full((6, 8), 700.0), u, v)[1]


def test_points_behind_the_camera_are_not_seen() -> None:
    behind = np.array([[0.0, 0.0, -650.0], [0.0, 0.0, 0.0]])
    assert not depth_at(np.full((6, 8), 700.0), CAMERA, behind)[1].any()

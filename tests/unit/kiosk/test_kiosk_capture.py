"""What is sent of a visit, read as the service reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from recon_service.application.computing.visit_decoding import decode_visit
from recon_service.application.records.visits import KioskVisit
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.imaging import ImageLimits
from recon_service.kiosk.best_frames import BestFrames, Candidate
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.cameras.scenes import HeadScene
from recon_service.kiosk.cameras.simulated import as_camera_frame
from recon_service.kiosk.capture import DEEP_MM, Capture, pack
from recon_service.kiosk.errors import CaptureTooLarge
from recon_service.kiosk.seen_face import SeenFace
from tests.kiosk_devices import painted

CAMERA = PinholeCamera(
    width=640,
    height=480,
    fx=600.0,
    fy=590.0,
    cx=322.0,
    cy=236.0,
    distortion=(0.03, -0.02, 0.001, -0.001, 0.0),
)


def candidate(frame: CameraFrame, center: np.ndarray, at: float = 0.0, **changes: float) -> Candidate:
    face = SeenFace((250, 150, 400, 330), center, (0.0, 0.0, 0.0), 0.95, 300.0, 120.0)
    return Candidate(frame, face, changes.get("moved_mm", 1.0), at)


@pytest.fixture(scope="module")
def candidates() -> list[Candidate]:
    scene = HeadScene(seed=2, camera=CAMERA)
    center = scene.pose().translation - np.array([0, 0, 60.0])
    frames = [as_camera_frame(painted(scene.frame(n)), n) for n in range(5)]
    return [candidate(frame, center, float(n)) for n, frame in enumerate(frames)]


def decoded(capture: Capture) -> tuple[DepthFrame, ...]:
    about = json.loads(capture.intrinsics)
    scale, name = about.pop("millimetres_per_unit"), about.pop("camera")
    camera = PinholeCamera(**{**about, "distortion": tuple(about.get("distortion", [0.0] * 5))})
    visit = KioskVisit(capture.depth, camera, capture.images, scale, name)
    return decode_visit(visit, limits=ImageLimits())


def points(depth: np.ndarray, camera: PinholeCamera) -> np.ndarray:
    """(N, 3) mm of what was measured, by rows."""
    row, column = np.nonzero(depth)
    rays = camera.rays(np.stack([column, row], axis=1).astype(np.float64))
    return np.asarray(rays * depth[row, column][:, None])


def near(candidate: Candidate, reach: float) -> np.ndarray:
    cloud = points(candidate.frame.millimetres().astype(np.float64), candidate.frame.camera)
    return np.asarray(cloud[np.linalg.norm(cloud - candidate.face.center, axis=1) < reach])


def test_the_service_sees_the_same_points_of_the_head_and_nobody_behind(candidates: list[Candidate]) -> None:
    capture = pack(candidates[:3])
    assert capture.step_mm == 0.1
    for sent, taken in zip(decoded(capture), candidates, strict=False):
        found = points(sent.depth, sent.camera)
        # All that the service looks at comes, to half a step of depth.
        whole = near(taken, 140.0)
        arrived = found[np.linalg.norm(found - taken.face.center, axis=1) < 140.0]
        assert abs(len(arrived) - len(whole)) <= 3
        np.testing.assert_allclose(np.sort(arrived[:, 2]), np.sort(whole[:, 2])[: len(arrived)], atol=0.5)
        # Straight lines in place of the lens's let the limit be missed by a little.
        assert np.linalg.norm(found - taken.face.center, axis=1).max() < 1.05 * DEEP_MM


def test_pictures_are_cut_with_their_depth(candidates: list[Candidate]) -> None:
    for sent in decoded(pack(candidates[:2])):
        assert sent.image is not None
        head = (sent.depth > 0) & (sent.depth < 800)
        blue = sent.image.pixels[..., 2]
        assert np.median(blue[head]) > 200
        assert np.median(blue[~head]) < 60


def test_less_bandwidth_takes_coarser_steps_then_fewer_frames_then_an_error(
    candidates: list[Candidate],
) -> None:
    free = pack(candidates, max_bytes=10_000_000)
    assert (free.step_mm, len(free.depth)) == (0.1, 5)
    coarse = pack(candidates, max_bytes=free.bytes_sent - 1)
    assert (coarse.step_mm, len(coarse.depth)) == (0.2, 5)
    few = pack(candidates, max_bytes=free.bytes_sent // 2)
    assert len(few.depth) in (2, 3, 4)
    assert few.bytes_sent <= free.bytes_sent // 2
    with pytest.raises(CaptureTooLarge) as fault:
        pack(candidates, max_bytes=10_000)
    assert fault.value.next_step


def test_three_frames_of_a_usual_camera_fit_the_bandwidth(candidates: list[Candidate]) -> None:
    capture = pack(candidates[:3], max_bytes=300_000)
    assert capture.bytes_sent == (
        sum(map(len, capture.depth)) + sum(map(len, capture.images)) + len(capture.intrinsics) + 2000
    )
    assert len(capture.depth) == 3


@pytest.mark.parametrize("unit", [1.0, 0.25])
def test_what_the_sensor_cannot_tell_apart_is_not_sent_more_finely(unit: float) -> None:
    flat = np.full((240, 320), round(500 / unit), np.uint16)
    camera = PinholeCamera(width=320, height=240, fx=300, fy=300, cx=159.5, cy=119.5)
    capture = pack([candidate(CameraFrame(flat, unit, camera, 0.0, 0), np.array([0, 0, 500.0]))])
    assert capture.step_mm == unit
    assert set(np.unique(decoded(capture)[0].depth)) <= {0.0, 500.0}


def test_infrared_and_float_depth_and_depth_alone() -> None:
    camera = PinholeCamera(width=320, height=240, fx=300, fy=300, cx=159.5, cy=119.5)
    depth = np.full((240, 320), 500.04, np.float32)
    depth[100:110, 150:160] = np.nan
    infrared = np.tile(np.arange(320, dtype=np.uint16) * 100, (240, 1))
    center = np.array([0, 0, 500.0])
    (sent,) = decoded(pack([candidate(CameraFrame(depth, 1.0, camera, 0.0, 0, infrared), center)]))
    assert set(np.unique(sent.depth)) == {0.0, 500.0}
    assert sent.image is not None
    (alone,) = decoded(pack([candidate(CameraFrame(depth, 1.0, camera, 0.0, 0), center)]))
    assert alone.image is None


def test_a_face_outside_the_frame_is_refused(candidates: list[Candidate]) -> None:
    with pytest.raises(InvalidValue):
        pack([candidate(candidates[0].frame, np.array([3000.0, 0.0, 500.0]))])


def test_the_best_frames_are_still_deep_and_in_the_order_of_time(candidates: Sequence[Candidate]) -> None:
    best = BestFrames(wanted=2, patience=3)
    frame, center = candidates[0].frame, candidates[0].face.center
    for at, moved in enumerate((1.0, 40.0, 2.0)):
        assert not best.ready
        best.add(candidate(frame, center, float(at), moved_mm=moved))
    assert best.ready
    assert [c.arrived for c in best.best()] == [0.0, 2.0]
    assert len(best.best(3)) == 3
    best.clear()
    assert (best.ready, best.progress, best.best()) == (False, 0.0, ())

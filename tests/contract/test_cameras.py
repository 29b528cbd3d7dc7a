"""What every camera of a kiosk does, whoever made it."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.pose import HeadPose
from recon_service.kiosk.cameras.camera import CameraFrame, CameraSession, DepthCamera, PictureKind
from recon_service.kiosk.cameras.checks import check_frames, require_plausible
from recon_service.kiosk.cameras.orbbec import OrbbecCamera
from recon_service.kiosk.cameras.parameters import parameters_of
from recon_service.kiosk.cameras.realsense import RealSenseCamera
from recon_service.kiosk.cameras.scenes import HeadScene
from recon_service.kiosk.errors import (
    CameraNotConnected,
    CameraStalled,
    ImplausibleDepth,
    RecordingUnreadable,
)
from tests.contract.camera_cases import CAMERA, CASES, COUNT, Case
from tests.kiosk_devices import OrbbecStructures, SoftwareRealSense, painted

PICTURE_AXES = {PictureKind.NONE: None, PictureKind.COLOR: 3, PictureKind.INFRARED: 2}


@pytest.fixture(scope="module")
def shown() -> list[DepthFrame]:
    """A head that sways before a wall, with a picture."""
    scene = HeadScene(seed=3, camera=CAMERA)
    return [painted(scene.frame(number)) for number in range(COUNT)]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    if found.needs and importlib.util.find_spec(found.needs) is None:
        pytest.skip(f"the package {found.needs} is not installed")
    return found


@pytest.fixture
def camera(case: Case, shown: list[DepthFrame], tmp_path: Path) -> Iterator[DepthCamera]:
    with case.make(shown, tmp_path) as made:
        yield made


def _near_edge(frame: DepthFrame) -> np.ndarray:
    """Within a block of JPEG of a jump in the picture: the head's outline, and where the counting begins
    anew.
    """
    assert frame.image is not None
    pixels = frame.image.pixels.astype(float)
    jump = sum(
        np.abs(np.diff(pixels, axis=a, append=np.take(pixels, [-1], a))).max(axis=2) > 8 for a in (0, 1)
    )
    return np.asarray(cv2.dilate((jump > 0).astype(np.uint8), np.ones((33, 33), np.uint8)) > 0)


def shown_in(frame: CameraFrame, shown: list[DepthFrame]) -> DepthFrame:
    """The frame that this is a picture of."""
    return min(shown, key=lambda s: float(np.abs(frame.millimetres() - s.depth).mean()))


def test_depth_comes_as_it_was_measured(case: Case, camera: DepthCamera, shown: list[DepthFrame]) -> None:
    with CameraSession(camera) as session:
        frames = list(session.frames(4))
    assert len(frames) == 4
    for frame in frames:
        truth = shown_in(frame, shown).depth
        assert frame.depth.dtype in (np.uint16, np.float32)
        assert np.abs(frame.millimetres() - truth).max() <= case.tolerance_mm


def test_intrinsics_are_those_of_the_lens(camera: DepthCamera) -> None:
    with CameraSession(camera) as session:
        (frame,) = session.frames(1)
    pixels = np.array([[0.0, 0.0], [319.0, 0.0], [160.0, 120.0], [319.0, 239.0]])
    np.testing.assert_allclose(frame.camera.rays(pixels), CAMERA.rays(pixels), atol=1e-6)


def test_pictures_lie_on_their_depth_pixel_by_pixel(
    case: Case, camera: DepthCamera, shown: list[DepthFrame]
) -> None:
    with CameraSession(camera) as session:
        frames = list(session.frames(3))
    for frame in frames:
        truth = shown_in(frame, shown)
        assert truth.image is not None
        assert frame.picture is not None
        inside = np.zeros(truth.depth.shape, dtype=bool)
        inside[4:-4, 4:-4] = truth.depth[4:-4, 4:-4] > 0  # alignment shows nothing where there is no depth
        # Red and green count the columns and rows; the SDKs may round to the neighbor, and JPEG blurs.
        apart = (frame.picture[..., :2].astype(int) - truth.image.pixels[..., :2] + 128) % 256 - 128
        inside &= ~_near_edge(truth) if case.lossy else True
        assert (np.abs(apart).max(axis=2) > (10 if case.lossy else 1))[inside].mean() <= 0.005


def test_time_and_numbers_go_on(camera: DepthCamera) -> None:
    with CameraSession(camera) as session:
        frames = list(session.frames(5))
    stamps, numbers = [f.timestamp_ms for f in frames], [f.number for f in frames]
    assert all(b > a for a, b in itertools.pairwise(stamps))
    # Nobody but a device can number a frame of the Orbbec SDK.
    assert all(b > a for a, b in itertools.pairwise(numbers)) or set(numbers) == {0}
    assert (stamps[-1] - stamps[0]) / 1000 >= 4 * 0.9 / 30


def test_a_recording_ends_and_a_device_does_not(case: Case, camera: DepthCamera) -> None:
    with CameraSession(camera, timeout_s=0.5) as session:
        frames = list(session.frames(3 * COUNT))
        if case.live:
            assert len(frames) == 3 * COUNT
        else:
            assert COUNT <= len(frames) <= COUNT + case.spare
            assert camera.read(0.2) is None


def test_it_can_be_stopped_at_any_time_and_started_again(camera: DepthCamera) -> None:
    camera.stop()
    with pytest.raises(CameraStalled):
        camera.read(0.1)
    for _ in range(2):
        camera.start()
        assert camera.read(1.0) is not None
        camera.stop()
        camera.stop()
    with pytest.raises(CameraStalled):
        camera.read(0.1)


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case.absent], indirect=True)
def test_a_camera_that_is_not_there_is_an_error_with_a_next_step(case: Case, tmp_path: Path) -> None:
    assert case.absent is not None
    with pytest.raises((CameraNotConnected, RecordingUnreadable)) as fault:
        case.absent(tmp_path).start()
    assert fault.value.next_step


def test_what_it_shows_passes_the_checks_at_the_start(camera: DepthCamera) -> None:
    with CameraSession(camera) as session:
        checks = check_frames(list(session.frames(5)), parameters_of(camera.camera_name))
    require_plausible(checks)
    assert {c.name: c.good for c in checks} == {
        "valid": True, "distance": True, "range": True, "noise": True, "alignment": True, "rate": True,
    }  # fmt: skip


def test_a_wrong_unit_and_a_shifted_picture_do_not(camera: DepthCamera) -> None:
    with CameraSession(camera) as session:
        frames = list(session.frames(5))
    parameters = parameters_of(camera.camera_name)

    def changed(frame: CameraFrame, *, unit: float = 1.0, shift: int = 0) -> CameraFrame:
        assert frame.picture is not None
        return CameraFrame(
            depth=frame.depth,
            millimetres_per_unit=frame.millimetres_per_unit * unit,
            camera=frame.camera,
            timestamp_ms=frame.timestamp_ms,
            number=frame.number,
            picture=np.roll(frame.picture, shift, axis=1),
        )

    for wrong in ({"unit": 0.001}, {"unit": 10.0}, {"shift": 24}):
        with pytest.raises(ImplausibleDepth):
            require_plausible(check_frames([changed(f, **wrong) for f in frames], parameters))


@pytest.mark.parametrize("kind", [PictureKind.INFRARED, PictureKind.NONE])
@pytest.mark.parametrize("maker", ["realsense", "orbbec"])
def test_infrared_or_nothing_beside_depth(maker: str, kind: PictureKind, shown: list[DepthFrame]) -> None:
    with contextlib.ExitStack() as stack:
        if maker == "realsense":
            pytest.importorskip("pyrealsense2")
            made = stack.enter_context(SoftwareRealSense(shown, infrared=True).running())
            camera: DepthCamera = RealSenseCamera(device=made.device, picture=kind)
            name = "realsense-d435i"
        else:
            pytest.importorskip("pyorbbecsdk")
            source = OrbbecStructures(shown, infrared=True)
            camera, name = OrbbecCamera(source=source, picture=kind), "orbbec-gemini335"
        (frame,) = stack.enter_context(CameraSession(camera)).frames(1)
    assert frame.camera_name == name
    assert (None if frame.picture is None else frame.picture.ndim) == PICTURE_AXES[kind]
    if frame.picture is not None:
        depth = shown_in(frame, shown).depth
        np.testing.assert_array_equal(frame.picture == 220, (depth > 0) & (depth < 1000))


@pytest.mark.parametrize("maker", ["realsense", "orbbec"])
def test_a_color_camera_beside_the_depth_camera_is_brought_to_it(maker: str) -> None:
    """A color camera 15 mm to the right, with another lens, sees a pattern on a plane at 500 mm."""
    pytest.importorskip("pyrealsense2" if maker == "realsense" else "pyorbbecsdk")
    depth_camera = PinholeCamera(width=320, height=240, fx=300.0, fy=300.0, cx=159.5, cy=119.5)
    color_camera = PinholeCamera(width=320, height=240, fx=320.0, fy=320.0, cx=150.0, cy=125.0)
    flat = np.full((240, 320), 500.0)
    v, u = np.mgrid[0:240, 0:320]
    pixels = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)

    def plane_colors(camera: PinholeCamera, offset: float) -> np.ndarray:
        points = camera.rays(pixels) * 500.0 + [offset, 0, 0]
        value = 127 + 100 * np.sin(points[:, 0] / 20) * np.cos(points[:, 1] / 25)
        return np.repeat(value.reshape(240, 320, 1), 3, axis=2).astype(np.uint8)

    frame = DepthFrame(flat, depth_camera)
    colors = [plane_colors(color_camera, 15.0)] * 3
    expected = plane_colors(depth_camera, 0.0).astype(int)
    with contextlib.ExitStack() as stack:
        if maker == "realsense":
            made = SoftwareRealSense([frame] * 3, colors=colors, color_camera=color_camera, offset_mm=15.0)
            stack.enter_context(made.running())
            camera: DepthCamera = RealSenseCamera(device=made.device)
        else:
            pictured = [painted(frame)] * 3
            camera = OrbbecCamera(
                source=OrbbecStructures(pictured, colors=colors, color_camera=color_camera, offset_mm=15.0)
            )
        (found,) = stack.enter_context(CameraSession(camera)).frames(1)
    assert found.picture is not None
    np.testing.assert_array_equal(found.depth, 5000)
    seen = (found.picture.max(axis=2) > 0) & (np.arange(320) > 40) & (np.arange(320) < 280)
    assert seen.mean() > 0.7
    off = np.abs(found.picture.astype(int) - expected)[seen]
    assert np.median(off) <= 4
    assert np.percentile(off, 99) <= 14, "half a pixel of the steepest slope"


def test_pose_of_the_scene_is_before_the_camera() -> None:
    pose: HeadPose = HeadScene(seed=1).pose()
    assert 400 < pose.translation[2] < 800

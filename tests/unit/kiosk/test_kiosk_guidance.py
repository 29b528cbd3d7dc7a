"""What the person is told, and where the face is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.cameras.lens import brown_conrady
from recon_service.kiosk.cameras.parameters import known_cameras, name_of_product, parameters_of
from recon_service.kiosk.cameras.scenes import HeadScene
from recon_service.kiosk.cameras.simulated import as_camera_frame
from recon_service.kiosk.errors import WrongStream
from recon_service.kiosk.guidance import Advice, GuideLimits, advise
from recon_service.kiosk.seen_face import FaceFinder, SeenFace
from tests.heads import face as small_model

CAMERA = PinholeCamera(width=640, height=480, fx=600, fy=600, cx=319.5, cy=239.5)
FRAME = CameraFrame(np.zeros((480, 640), np.uint16), 1.0, CAMERA, 0.0, 0)
GOOD = SeenFace((250, 150, 400, 330), np.array([0.0, 0.0, 500.0]), (0.0, 0.0, 0.0), 0.95, 300.0, 120.0)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, Advice.GOOD),
        ({"center": np.array([0, 0, 900.0])}, Advice.COME_CLOSER),
        ({"center": np.array([0, 0, 250.0])}, Advice.STEP_BACK),
        # The camera sees the person's right on its left: who is cut off there moves to the own left.
        ({"box": (2, 150, 150, 330)}, Advice.MOVE_LEFT),
        ({"box": (500, 150, 639, 330)}, Advice.MOVE_RIGHT),
        ({"box": (250, 0, 400, 180)}, Advice.MOVE_DOWN),
        ({"box": (250, 300, 400, 478)}, Advice.MOVE_UP),
        # Yaw is positive to the person's left.
        ({"angles": (30.0, 0.0, 0.0)}, Advice.TURN_RIGHT),
        ({"angles": (-30.0, 0.0, 0.0)}, Advice.TURN_LEFT),
        ({"angles": (0.0, 40.0, 0.0)}, Advice.CHIN_DOWN),
        ({"angles": (0.0, -40.0, 0.0)}, Advice.CHIN_UP),
        ({"angles": (0.0, 0.0, 30.0)}, Advice.HEAD_UPRIGHT),
        ({"angles": None}, Advice.GOOD),
        ({"brightness": 10.0}, Advice.MORE_LIGHT),
        ({"brightness": None}, Advice.GOOD),
        ({"valid": 0.4}, Advice.FREE_FACE),
        ({"second": 0.9}, Advice.ONE_PERSON),
        ({"second": 0.3}, Advice.GOOD),
        # Several things are wrong: one is said.
        ({"center": np.array([0, 0, 900.0]), "angles": (30.0, 0, 0), "valid": 0.1}, Advice.COME_CLOSER),
    ],
)
def test_one_thing_is_said_the_most_important_first(changes: dict[str, Any], advice: Advice) -> None:
    face = replace(GOOD, **changes)
    assert advise(face, FRAME, GuideLimits(), before=face) is advice


class Two:
    """A detector that sees two faces side by side, one of them a little smaller."""

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        places = np.array([(0.3, 0.3), (0.7, 0.3), (0.5, 0.55), (0.5, 0.75), (0.1, 0.4), (0.9, 0.4)])
        boxes = ((100.0, 150.0, 250.0, 330.0), (400.0, 170.0, 530.0, 320.0))
        return tuple(
            DetectedFace(box, 0.9, np.array(box[:2]) + places * (box[2] - box[0], box[3] - box[1]))
            for box in boxes
        )


def test_who_is_meant_is_asked_among_people_and_not_among_posters() -> None:
    picture = np.full((480, 640, 3), 120, np.uint8)
    depth = np.full((480, 640), 500, np.uint16)
    found = FaceFinder(Two(), small_model()).find(CameraFrame(depth, 1.0, CAMERA, 0.0, 0, picture))
    assert found is not None
    assert found.second == pytest.approx(150 / 180)
    depth[:, 320:] = 2500  # on the wall behind
    found = FaceFinder(Two(), small_model()).find(CameraFrame(depth, 1.0, CAMERA, 0.0, 0, picture))
    assert found is not None
    assert found.second == 0.0


def test_nobody_is_seen_in_the_dark_and_that_is_said() -> None:
    black = CameraFrame(FRAME.depth, 1.0, CAMERA, 0.0, 0, np.full((480, 640, 3), 12, np.uint8))
    assert advise(None, black, GuideLimits()) is Advice.MORE_LIGHT


def test_nobody_and_movement() -> None:
    assert advise(None, FRAME, GuideLimits()) is Advice.STEP_UP
    assert advise(GOOD, FRAME, GuideLimits()) is Advice.HOLD_STILL
    moved = replace(GOOD, center=GOOD.center + np.array([0, 0, 40.0]))
    assert advise(moved, FRAME, GuideLimits(), before=GOOD) is Advice.HOLD_STILL


def test_a_face_is_found_in_depth_alone_and_followed() -> None:
    scene, finder = HeadScene(seed=4, wall_mm=1500.0), FaceFinder(None, small_model())
    found = [finder.find(as_camera_frame(scene.frame(n), n)) for n in range(3)]
    truth = scene.pose()
    for face in found:
        assert face is not None
        assert face.angles is not None
        assert np.abs(np.array(face.angles) - truth.angles()).max() < 8
        assert np.linalg.norm(face.center[:2] - truth.translation[:2]) < 30
        assert 0 < truth.translation[2] - face.distance_mm < 130, "the face is before the middle of the head"
    empty = CameraFrame(np.full((480, 640), 1500, np.uint16), 1.0, CAMERA, 0.0, 0)
    assert finder.find(empty) is None


def test_an_inverse_lens_is_expressed_to_a_tenth_of_a_pixel() -> None:
    """Intel's inverse model gives ideal coordinates from distorted ones by the formula that OpenCV uses the
    other way around.
    """
    k1, k2, p1, p2, k3 = -0.05, 0.02, 0.0006, -0.0004, -0.005
    inverse = PinholeCamera(640, 480, 600, 600, 320, 240, distortion=(k1, k2, p1, p2, k3))

    def rays(pixels: np.ndarray) -> np.ndarray:
        straight = np.stack(
            [(pixels[:, 0] - 320) / 600, (pixels[:, 1] - 240) / 600, np.ones(len(pixels))], axis=1
        )
        bent = inverse.project(straight)
        return np.stack([(bent[:, 0] - 320) / 600, (bent[:, 1] - 240) / 600], axis=1)

    found = brown_conrady(rays, width=640, height=480, fx=600, fy=600, cx=320, cy=240)
    camera = PinholeCamera(640, 480, 600, 600, 320, 240, distortion=found)
    pixels = np.random.default_rng(0).uniform([0, 0], [639, 479], (200, 2))
    np.testing.assert_allclose(camera.rays(pixels)[:, :2] * 600, rays(pixels) * 600, atol=0.15)


def test_a_lens_that_cannot_be_expressed_is_refused() -> None:
    def fisheye(pixels: np.ndarray) -> np.ndarray:
        off = (pixels - [320, 240]) / 200
        angle = np.maximum(np.linalg.norm(off, axis=1, keepdims=True), 1e-9)
        return np.asarray(off / angle * np.tan(np.minimum(angle, 1.5)))

    with pytest.raises(WrongStream):
        brown_conrady(fisheye, width=640, height=480, fx=200, fy=200, cx=320, cy=240)


def test_known_cameras_have_plausible_noise_and_are_found_by_what_they_call_themselves() -> None:
    for camera in known_cameras().values():
        assert 0.05 < camera.sd_mm(500.0, focal_px=600.0) < 5
        assert camera.sd_mm(1000.0, focal_px=600.0) > camera.sd_mm(500.0, focal_px=600.0)
    assert name_of_product("Intel RealSense D435I") == "realsense-d435i"
    assert name_of_product("Orbbec Gemini 335") == "orbbec-gemini335"
    assert name_of_product("something new") == name_of_product("") == "generic"
    assert parameters_of("something-new").name == "generic"

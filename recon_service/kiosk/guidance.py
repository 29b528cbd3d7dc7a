"""What to tell the person before the kiosk: one thing at a time, the most important first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.seen_face import SeenFace


class Advice(StrEnum):
    """What the person should do. The words are in the screen's languages."""

    STEP_UP = "step-up"
    ONE_PERSON = "one-person"
    COME_CLOSER = "come-closer"
    STEP_BACK = "step-back"
    MOVE_LEFT = "move-left"
    MOVE_RIGHT = "move-right"
    MOVE_UP = "move-up"
    MOVE_DOWN = "move-down"
    TURN_LEFT = "turn-left"
    TURN_RIGHT = "turn-right"
    CHIN_UP = "chin-up"
    CHIN_DOWN = "chin-down"
    HEAD_UPRIGHT = "head-upright"
    MORE_LIGHT = "more-light"
    FREE_FACE = "free-face"
    HOLD_STILL = "hold-still"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class GuideLimits:
    """When a frame is good. Distances in mm, angles in degrees, for the face's middle. margin: the face
    must keep so much of its own width from the border. still_mm: movement from one frame to the next.
    second_face: from this share of the first one's height it is not clear who is meant. dark: gray value of
    a face, and of a color picture in which there is none.
    """

    near_mm: float = 350.0
    far_mm: float = 750.0
    yaw: float = 18.0
    pitch: float = 25.0
    roll: float = 20.0
    margin: float = 0.1
    least_valid: float = 0.7
    dark: float = 35.0
    still_mm: float = 18.0
    second_face: float = 0.5


def advise(
    face: SeenFace | None, frame: CameraFrame, limits: GuideLimits, *, before: SeenFace | None = None
) -> Advice:
    """The most important advice for this frame; GOOD where there is none. before: the face of the last frame.

    Left and right are the person's own.
    """
    if face is None:
        return Advice.MORE_LIGHT if _is_dark(frame, limits) else Advice.STEP_UP
    if face.second >= limits.second_face:
        return Advice.ONE_PERSON
    if face.distance_mm > limits.far_mm:
        return Advice.COME_CLOSER
    if face.distance_mm < limits.near_mm:
        return Advice.STEP_BACK
    if (place := _place(face, frame, limits)) is not None:
        return place
    if (turn := _turn(face, limits)) is not None:
        return turn
    if face.brightness is not None and face.brightness < limits.dark:
        return Advice.MORE_LIGHT
    if face.valid < limits.least_valid:
        return Advice.FREE_FACE
    if before is None or float(abs(face.center - before.center).max()) > limits.still_mm:
        return Advice.HOLD_STILL
    return Advice.GOOD


def _is_dark(frame: CameraFrame, limits: GuideLimits) -> bool:
    """Whether nobody could be seen. Infrared cameras bring their own light."""
    picture = frame.picture
    return picture is not None and picture.ndim == 3 and float(np.median(picture)) < limits.dark


def _place(face: SeenFace, frame: CameraFrame, limits: GuideLimits) -> Advice | None:
    """Whether the face is cut off. The camera sees the person's left on its right."""
    left, top, right, bottom = face.box
    room = limits.margin * (right - left)
    if left < room:
        return Advice.MOVE_LEFT
    if right > frame.camera.width - room:
        return Advice.MOVE_RIGHT
    if top < room:
        return Advice.MOVE_DOWN
    if bottom > frame.camera.height - room:
        return Advice.MOVE_UP
    return None


def _turn(face: SeenFace, limits: GuideLimits) -> Advice | None:
    if face.angles is None:
        return None
    yaw, pitch, roll = face.angles
    if abs(yaw) > limits.yaw:
        return Advice.TURN_RIGHT if yaw > 0 else Advice.TURN_LEFT
    if abs(pitch) > limits.pitch:
        return Advice.CHIN_DOWN if pitch > 0 else Advice.CHIN_UP
    return Advice.HEAD_UPRIGHT if abs(roll) > limits.roll else None

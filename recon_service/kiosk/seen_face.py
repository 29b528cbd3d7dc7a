"""The face before the kiosk, found on the device: where it is, how far away, and which way it looks.

Good enough to guide somebody and to cut the capture; the service looks at the frames for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.depth.cleaning import clean_depth
from recon_service.depth.depth_only_start import pose_from_depth, pose_near
from recon_service.domain.arrays import AnyArray, Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import DepthRejected, FitFailed
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.kiosk.cameras.camera import CameraFrame

Box = tuple[float, float, float, float]

MIDDLE: Final = 0.25
"""The distance is measured in the middle of the box, so much of it to every side."""
WINDOW_PX: Final = 3
LEAST_VALID: Final = 9
LOOKING_STRAIGHT_DEG: Final = 17.0
"""Pitch that the line from the eyes to the mouth has in a head that looks straight ahead: the lips stand
out. It differs by some 8 degrees between people.
"""
SHARP_SIDE: Final = 96
AT_KIOSK_MM: Final = 1300.0
"""Who stands farther is not at the kiosk. (Depth alone can take a bare wall for a face.)"""
FOLLOWED_MM: Final = 120.0
"""Farther than this nobody's head moves between two frames."""


class FaceDetector(Protocol):
    """Finds faces in pictures."""

    def detect(self, image: Image) -> tuple[DetectedFace, ...]: ...


@dataclass(frozen=True, slots=True)
class SeenFace:
    """box: (left, top, right, bottom) pixels, brow to chin. center: (3,) mm, camera frame, of the face's
    surface. angles: yaw, pitch, roll in degrees as ``HeadPose.angles``, None where depth did not tell.
    valid: share of the box with a depth. sharpness: variance of the Laplacian of the face at a fixed size,
    and brightness: its median gray, both None without a picture. second: height of the largest other face at
    the kiosk over this one's, 0 without one. pose: of the mean head, where it was found in depth.
    """

    box: Box
    center: Array
    angles: tuple[float, float, float] | None
    valid: float
    sharpness: float | None = None
    brightness: float | None = None
    second: float = 0.0
    pose: HeadPose | None = None

    @property
    def distance_mm(self) -> float:
        return float(self.center[2])


class FaceFinder:
    """Finds the nearest face: in the picture where there is one, in depth alone otherwise.

    detector: for pictures, None to use depth alone. model: a small morphable model for depth alone.
    """

    def __init__(self, detector: FaceDetector | None, model: MorphableModel) -> None:
        self._detector, self._model = detector, model
        self._last: HeadPose | None = None

    def find(self, frame: CameraFrame) -> SeenFace | None:
        """The largest face of the frame, or None."""
        image = frame.image()
        if image is None or self._detector is None:
            return self._in_depth(frame)
        faces = self._detector.detect(image)
        # Bystanders look over the shoulder: who stands at the kiosk is nearest, so largest.
        by_size = sorted(faces, key=lambda face: face.width * face.height, reverse=True)
        return _in_picture(frame, image, by_size[0], by_size[1:]) if by_size else None

    def _in_depth(self, frame: CameraFrame) -> SeenFace | None:
        clean = clean_depth(frame.millimetres().astype(np.float64))
        try:
            pose = self._followed(clean, frame.camera) or pose_from_depth(clean, frame.camera, self._model)
        except (DepthRejected, FitFailed):
            self._last = None
            return None
        if pose.translation[2] > AT_KIOSK_MM:
            self._last = None
            return None
        self._last = pose
        points = pose.apply(self._model.vertices.mean[self._model.surface])
        pixels = frame.camera.project(points)
        (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
        box = float(left), float(top), float(right), float(bottom)
        yaw, pitch, roll = (float(angle) for angle in pose.angles())
        return SeenFace(
            box=box,
            center=points.mean(axis=0),
            angles=(yaw, pitch, roll),
            valid=_valid_share(clean, box),
            pose=pose,
        )

    def _followed(self, clean: Array, camera: PinholeCamera) -> HeadPose | None:
        """Where the last head is now; None when it is not there any more."""
        if self._last is None:
            return None
        pose = pose_near(clean, camera, self._model, self._last)
        # A plane attracts a head without one: what slid away was not followed.
        near = pose is not None and np.abs(pose.translation - self._last.translation).max() < FOLLOWED_MM
        return pose if near else None


def _in_picture(
    frame: CameraFrame, image: Image, face: DetectedFace, others: Sequence[DetectedFace]
) -> SeenFace | None:
    depth = frame.millimetres()
    distance = _distance(face, depth)
    if distance is None:
        return None
    left, top, right, bottom = face.box
    ray = frame.camera.rays(np.array([[(left + right) / 2, (top + bottom) / 2]]))[0]
    gray = np.asarray(cv2.cvtColor(_cut(image.pixels, face.box), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return SeenFace(
        box=face.box,
        center=np.asarray(ray * distance),
        angles=_angles(face, depth, frame.camera),
        valid=_valid_share(depth, face.box),
        sharpness=_sharpness(gray),
        brightness=float(np.median(gray)),
        # Not the face on a poster behind, however large it is.
        second=max((o.height for o in others if (_distance(o, depth) or np.inf) < AT_KIOSK_MM), default=0.0)
        / face.height,
    )


def _distance(face: DetectedFace, depth: NDArray[np.float32]) -> float | None:
    """In mm, along z, of its middle; None where depth does not tell."""
    left, top, right, bottom = face.box
    width, height = right - left, bottom - top
    middle = (left + MIDDLE * width, top + MIDDLE * height, right - MIDDLE * width, bottom - MIDDLE * height)
    cut = _cut(depth, middle)
    measured = cut[cut > 0]
    return None if len(measured) < LEAST_VALID else float(np.median(measured))


def _angles(
    face: DetectedFace, depth: NDArray[np.float32], camera: PinholeCamera
) -> tuple[float, float, float] | None:
    """From the eyes and the mouth, lifted by depth; None where one of them has none."""
    if face.scheme != "mediapipe6":
        return None
    points = [_lifted(point, depth, camera) for point in face.keypoints[[0, 1, 3]]]
    if any(point is None for point in points):
        return None
    right, left, mouth = (np.asarray(point) for point in points)
    across = left - right
    across /= max(float(np.linalg.norm(across)), 1e-6)
    up = (left + right) / 2 - mouth
    up -= across * float(up @ across)
    up /= max(float(np.linalg.norm(up)), 1e-6)
    pose = HeadPose(np.stack([across, up, np.cross(across, up)], axis=1), mouth)
    yaw, pitch, roll = (float(angle) for angle in pose.angles())
    return yaw, pitch - LOOKING_STRAIGHT_DEG, roll


def _lifted(pixel: Array, depth: NDArray[np.float32], camera: PinholeCamera) -> Array | None:
    u, v = pixel
    window = _cut(depth, (u - WINDOW_PX, v - WINDOW_PX, u + WINDOW_PX + 1, v + WINDOW_PX + 1))
    measured = window[window > 0]
    if len(measured) < LEAST_VALID:
        return None
    return np.asarray(camera.rays(pixel[None])[0] * float(np.median(measured)))


def _cut(pixels: AnyArray, box: Box) -> AnyArray:
    """The part inside the box, at least one pixel."""
    height, width = pixels.shape[:2]
    left, right = np.clip([round(box[0]), round(box[2])], 0, width)
    top, bottom = np.clip([round(box[1]), round(box[3])], 0, height)
    left, top = min(left, width - 1), min(top, height - 1)
    return pixels[top : max(bottom, top + 1), left : max(right, left + 1)]


def _valid_share(depth: NDArray[np.float32] | Array, box: Box) -> float:
    return float((_cut(depth, box) > 0).mean())


def _sharpness(gray: NDArray[np.uint8]) -> float:
    fixed = cv2.resize(gray, (SHARP_SIDE, SHARP_SIDE), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(fixed, cv2.CV_32F).var())


def on_this_device() -> FaceFinder:
    """With the detector of the default set and the built-in model. Raises WeightsUnavailable, naming the
    command that mends it.
    """
    from recon_service.canonical_model import load_builtin
    from recon_service.detection.mediapipe_short_range import MediaPipeShortRange
    from recon_service.weights import bundled_directory, locate

    detector = MediaPipeShortRange(locate("face-detection-short-range"))
    return FaceFinder(detector, load_builtin(bundled_directory() / "builtin.npz"))

"""MediaPipe FaceMesh: 468 landmarks of a detected face.

Input: a square around the face, turned so that the eyes are level, 192 x 192 RGB in [0, 1]. Output: x, y, z
of 468 landmarks in pixels of the input (z grows away from the viewer, zero near the center of the head's
front), and the logit of a face being there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.networks.tflite import TFLiteNetwork

INPUT_SIDE: Final = 192
CROP_SCALE: Final = 1.5
"""Side of the crop over the longer side of the face's box."""
RIGHT_EYE_CORNER: Final = 33
LEFT_EYE_CORNER: Final = 263
LANDMARK_COUNT: Final = 468


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """A square in the image, in the image's pixels; ``angle`` turns it clockwise on the screen, radians."""

    center: tuple[float, float]
    side: float
    angle: float

    def to_image(self) -> Array:
        """(2, 3) map from pixels of the network's input to pixels of the image."""
        step = self.side / INPUT_SIDE
        a, b = step * math.cos(self.angle), step * math.sin(self.angle)
        half = INPUT_SIDE / 2
        cx, cy = self.center
        return np.array([[a, -b, cx - (a - b) * half], [b, a, cy - (a + b) * half]])


class FaceMeshLandmarker:
    """The landmark detector. Safe to share by threads."""

    name: str = "mediapipe-facemesh"

    def __init__(self, weights: Path, *, passes: int = 2) -> None:
        """``passes``: 1 crops by the detection alone, as MediaPipe does on still pictures; 2 crops again by
        the first landmarks.

        The second pass halves how much the landmarks tremble with the box (spread of 0.44 instead of 1.07
        pixels on 70-pixel infrared faces, 0.9 instead of 1.8 on a 190-pixel portrait), for another 2 ms; a
        third gains a third as much again.
        """
        if passes < 1:
            raise ValueError("passes must be 1 or more")
        self._network = TFLiteNetwork(weights, ("conv2d_31", "conv2d_21"))
        self._passes = passes

    def landmarks(self, image: Image, face: DetectedFace) -> FaceLandmarks:
        """Landmarks of ``face``, scheme "facemesh468"; presence is low when there is no face in the box."""
        found = self.landmarks_in(image, crop_of_detection(face))
        for _ in range(self._passes - 1):
            found = self.landmarks_in(image, crop_of_landmarks(found))
        return found

    def landmarks_in(self, image: Image, crop: FaceCrop) -> FaceLandmarks:
        """Landmarks of the face that fills ``crop``."""
        to_image = crop.to_image()
        sampled = _sample(image.pixels, to_image, crop.side)
        logit, flat = self._network.run(sampled.astype(np.float32) / np.float32(255))
        mesh, presence_logit = flat.reshape(LANDMARK_COUNT, 3).astype(np.float64), float(logit.reshape(-1)[0])
        return FaceLandmarks(
            scheme="facemesh468",
            points=mesh[:, :2] @ to_image[:, :2].T + to_image[:, 2],
            depth=mesh[:, 2] * (crop.side / INPUT_SIDE),
            presence=1 / (1 + math.exp(-min(max(presence_logit, -100.0), 100.0))),
        )


def crop_of_detection(face: DetectedFace) -> FaceCrop:
    """The crop that MediaPipe takes from a detection: the box squared and enlarged, the eyes level (where the
    detector tells where they are).
    """
    right_eye, left_eye = face.eyes or (np.zeros(2), np.array([1.0, 0.0]))
    return FaceCrop(
        center=((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2),
        side=CROP_SCALE * max(face.width, face.height),
        angle=math.atan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]),
    )


def crop_of_landmarks(landmarks: FaceLandmarks) -> FaceCrop:
    """The crop that MediaPipe takes while it tracks: the box around all landmarks, enlarged, the outer eye
    corners level.
    """
    points = landmarks.points
    along = points[LEFT_EYE_CORNER] - points[RIGHT_EYE_CORNER]
    low, high = points.min(axis=0), points.max(axis=0)
    return FaceCrop(
        center=(float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2),
        side=max(CROP_SCALE * float((high - low).max()), 1.0),
        angle=math.atan2(along[1], along[0]),
    )


def _sample(pixels: NDArray[np.uint8], to_image: Array, side: float) -> NDArray[np.uint8]:
    """The crop at the network's size, edge pixels repeated beyond the picture.

    Bilinear as MediaPipe's CPU path. A crop of more than twice the input is shrunk by area first: bilinear
    sampling would skip pixels, and the landmarks of a large face would tremble with its texture.
    """
    shrink = int(side / INPUT_SIDE)
    if shrink >= 2:
        pixels, to_image = _shrunk(pixels, to_image, shrink)
    square = cv2.warpAffine(
        pixels,
        to_image,
        (INPUT_SIDE, INPUT_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(square, dtype=np.uint8)


def _shrunk(pixels: NDArray[np.uint8], to_image: Array, factor: int) -> tuple[NDArray[np.uint8], Array]:
    """The part of the picture under the crop, shrunk by a whole factor, and the map into it."""
    corners = (
        np.array([[0, 0, 1], [INPUT_SIDE, 0, 1], [0, INPUT_SIDE, 1], [INPUT_SIDE, INPUT_SIDE, 1]])
        @ to_image.T
    )
    height, width = pixels.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2 * factor, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2 * factor, low + 1, [width, height])
    # Whole blocks only, so that no output pixel mixes fewer pixels than its neighbors and the map stays
    # exact.
    size = np.maximum((high - low) // factor, 1)
    high = np.minimum(low + size * factor, [width, height])
    part = cv2.resize(
        pixels[low[1] : high[1], low[0] : high[0]], (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA
    )
    # Centers: pixel i of the shrunk part covers factor pixels from low + factor * i.
    moved = to_image.copy()
    moved[:, 2] -= low + (factor - 1) / 2
    return np.asarray(part, dtype=np.uint8), moved / factor

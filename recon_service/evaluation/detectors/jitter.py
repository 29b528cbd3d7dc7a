"""How much a detector's points tremble when the picture changes in ways that leave the face where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.detection.detector import FaceDetector
from recon_service.domain.arrays import Array
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.landmark_schemes import scheme_named
from recon_service.evaluation.detectors.measures import spread

VIEWS = 6
SHIFT = 0.03
SCALE = 0.05
"""Of the crops: how far they move, as a share of the shorter side, and how much their scale changes."""
NOISE_SD = 6.0
"""Gray levels of 255."""
EYES_OVER_BOX = 0.459
"""Distance of the eyes over the width of a tight box, in the template of five points."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """Root mean square spread of the points over the distance of the eyes. None where a face was lost in
    half of the views or more.

    crop, noise: of the places that all schemes name (of a detector without landmarks: the corners of its
    box). crop_all: of all its landmarks.
    """

    crop: float | None
    noise: float | None
    crop_all: float | None


def jitter(detector: FaceDetector, image: Image, face: DetectedFace, *, seed: int) -> Jitter:
    """Look again at views of the picture, in which the face lies where it lay in it."""
    rng = np.random.default_rng(seed)
    moved = [_cropped(image.pixels, rng) for _ in range(VIEWS)]
    grainy = [_grainy(image.pixels, rng) for _ in range(VIEWS)]
    still = np.eye(2, 3)
    crops = _again(detector, [(pixels, back) for pixels, back in moved], face)
    noises = _again(detector, [(pixels, still) for pixels in grainy], face)
    eyes = _distance_of_eyes(face)
    return Jitter(
        crop=_share([_named(*each) for each in crops], eyes),
        noise=_share([_named(*each) for each in noises], eyes),
        crop_all=_share([_all(*each) for each in crops], eyes),
    )


def _cropped(pixels: NDArray[np.uint8], rng: np.random.Generator) -> tuple[NDArray[np.uint8], Array]:
    """A view that is moved and scaled a little, and the (2, 3) map from its pixels back."""
    height, width = pixels.shape[:2]
    scale = 1 + rng.uniform(-SCALE, SCALE)
    move = rng.uniform(-SHIFT, SHIFT, 2) * min(width, height)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    there = np.column_stack([scale * np.eye(2), middle - scale * middle + move])
    back = np.column_stack([np.eye(2) / scale, -there[:, 2] / scale])
    view = cv2.warpAffine(pixels, there, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(view, np.uint8), back


def _grainy(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(NOISE_SD)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


Seen = tuple[DetectedFace, Array]


def _again(
    detector: FaceDetector, views: Sequence[tuple[NDArray[np.uint8], Array]], face: DetectedFace
) -> list[Seen]:
    """The face in each view where it is found again, with the map back."""
    found = detector.detect_batch([Image(pixels=pixels) for pixels, _ in views])
    seen: list[Seen] = []
    for faces, (_, back) in zip(found, views, strict=True):
        if not faces:
            continue
        nearest = min(
            faces, key=lambda each: float(np.linalg.norm(_mapped(_middle(each), back) - _middle(face)))
        )
        if np.linalg.norm(_mapped(_middle(nearest), back) - _middle(face)) < face.width / 2:
            seen.append((nearest, back))
    return seen


def _share(points: Sequence[Array], eyes: float) -> float | None:
    return spread(points) / eyes if 2 * len(points) > VIEWS else None


def _named(face: DetectedFace, back: Array) -> Array:
    scheme = scheme_named(face.scheme)
    places = [point for place in scheme.places if (point := scheme.place(face.keypoints, place)) is not None]
    return _mapped(np.stack(places), back) if places else _corners(face, back)


def _all(face: DetectedFace, back: Array) -> Array:
    return _mapped(face.keypoints, back) if len(face.keypoints) else _corners(face, back)


def _corners(face: DetectedFace, back: Array) -> Array:
    left, top, right, bottom = face.box
    return _mapped(np.array([[left, top], [right, top], [left, bottom], [right, bottom]]), back)


def _middle(face: DetectedFace) -> Array:
    return np.array([(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2])


def _mapped(points: Array, back: Array) -> Array:
    return np.asarray(points @ back[:, :2].T + back[:, 2])


def _distance_of_eyes(face: DetectedFace) -> float:
    if face.eyes is None:
        return EYES_OVER_BOX * face.width
    return max(float(np.linalg.norm(face.eyes[0] - face.eyes[1])), 1e-6)

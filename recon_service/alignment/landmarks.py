"""Alignment by whatever landmarks a detector gives, from 468 down to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from recon_service.alignment.five_points import TEMPLATE, TEMPLATE_SIZE
from recon_service.alignment.sampling import sampled
from recon_service.alignment.similarity import similarity
from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.landmark_schemes import FIVE, LEFT_MOUTH, MOUTH, RIGHT_MOUTH, scheme_named

PLACES: Final = {
    **dict(zip(FIVE, TEMPLATE, strict=True)),
    MOUTH: TEMPLATE[3:].mean(axis=0),
}
"""Where each named place lies in the template."""

BOX_CENTER: Final = (54.6, 63.9)
BOX_SIZE: Final = (76.7, 100.8)
"""Where a tight box around a face lies in the template: the median over the portraits and 92 infrared
frames of the box of FaceBoxes; those of YuNet and MTCNN lie within 2 and 5 pixels.
"""

ROBUST_ROUNDS: Final = 5
ROBUST_SCALE: Final = 2.0
"""Pixels of the template beyond which a landmark of a dense alignment counts for less."""


def by_named_places(face: DetectedFace, *, size: int = TEMPLATE_SIZE) -> Array:
    """(2, 3) map onto the template by the named places that the face's landmarks have (both corners of the
    mouth rather than its center), by the box where there are none.
    """
    scheme = scheme_named(face.scheme)
    found = {name: scheme.place(face.keypoints, name) for name in PLACES}
    if found[RIGHT_MOUTH] is not None and found[LEFT_MOUTH] is not None:
        del found[MOUTH]
    known = [(point, PLACES[name]) for name, point in found.items() if point is not None]
    factor = size / TEMPLATE_SIZE
    if len(known) < 2:
        return by_box(face.box, size=size)
    source, target = (np.stack(each) for each in zip(*known, strict=True))
    return similarity(source, target * factor)


def by_box(box: tuple[float, float, float, float], *, size: int = TEMPLATE_SIZE) -> Array:
    """(2, 3) map without rotation that brings a box (left, top, right, bottom) to its usual place."""
    left, top, right, bottom = box
    factor = size / TEMPLATE_SIZE
    scale = factor * float(np.sqrt(np.prod(BOX_SIZE) / ((right - left) * (bottom - top))))
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    return np.column_stack([scale * np.eye(2), factor * np.array(BOX_CENTER) - scale * middle])


@dataclass(frozen=True, slots=True)
class DenseTemplate:
    """Where all landmarks of a scheme lie in the template of 112 pixels.

    points: (N, 2). weights: (N,), how much each counts: not at all where expressions move it.
    """

    scheme: str
    points: Array
    weights: Array

    def __post_init__(self) -> None:
        count = scheme_named(self.scheme).count
        finite(shaped(self.points, "template points", count, 2), "template points")
        finite(shaped(self.weights, "weights", count), "weights")

    @classmethod
    def of_shape(cls, scheme: str, landmarks: Array) -> DenseTemplate:
        """The template of a mean shape seen from the front.

        landmarks: (N, 3), head frame, millimeters. What counts: landmarks above the mouth and not on the
        outline.
        """
        named = scheme_named(scheme)
        shaped(landmarks, "landmarks", named.count, 3)
        # x to the subject's left is to the right of the picture; y is up in the head and down in the picture.
        flat = landmarks[:, :2] * np.array([1.0, -1.0])
        five = named.five_points(flat)
        if five is None:
            raise InvalidValue(f"landmarks of the scheme {scheme} lack one of the five points")
        onto = similarity(five, TEMPLATE)
        nose, mouth = landmarks[:, 2].max(), landmarks[list(named.places[MOUTH]), 1].mean()
        eyes = np.abs(flat[list(named.places[FIVE[0]] + named.places[FIVE[1]]), 0]).max()
        steady = (landmarks[:, 1] > mouth + 0.2 * eyes) & (landmarks[:, 2] > nose - 1.5 * eyes)
        return cls(scheme, flat @ onto[:, :2].T + onto[:, 2], steady.astype(np.float64))

    def map_of(self, landmarks: Array, *, size: int = TEMPLATE_SIZE) -> Array:
        """(2, 3) map onto the template by all landmarks (N, 2), those that do not fit counting for less."""
        weights = self.weights
        for _ in range(ROBUST_ROUNDS):
            found = similarity(landmarks, self.points, weights=weights)
            off = np.linalg.norm(landmarks @ found[:, :2].T + found[:, 2] - self.points, axis=1)
            weights = self.weights * np.minimum(1.0, ROBUST_SCALE / np.maximum(off, 1e-9))
        return np.asarray(found * (size / TEMPLATE_SIZE))


def align_face(
    image: Image, face: DetectedFace, *, dense: DenseTemplate | None = None, size: int = TEMPLATE_SIZE
) -> Image:
    """The face in a picture of ``size`` × ``size`` pixels: by all landmarks where ``dense`` knows their
    scheme, else by the named places, else by the box.
    """
    if dense is not None and dense.scheme == face.scheme:
        onto = dense.map_of(face.keypoints, size=size)
    else:
        onto = by_named_places(face, size=size)
    return Image(pixels=sampled(image.pixels, onto, size))

"""MediaPipe's short-range face detector (BlazeFace).

Input: the picture padded to a square, 128 x 128 RGB in [-1, 1]. Output: at each of 896 anchors a score and 16
numbers (box center and size, six keypoints) in pixels of the 128-pixel input, relative to the anchor's
center. Anchors: two at each of 16 x 16 cells, six at each of 8 x 8.

The network finds faces that take at least about a seventh of the picture. So the picture is looked at several
times, each time only if nothing was found before: as it is (as MediaPipe does), with a margin around it (a
face that fills the frame), and in overlapping tiles (a face far away).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.detection.detector import DetectorKind, FaceDetector, OneByOne
from recon_service.detection.suppression import overlap_with_each, weighted_suppression
from recon_service.domain.arrays import Array
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device
from recon_service.networks.tflite import TFLiteNetwork

INPUT_SIDE: Final = 128
GRIDS: Final = ((16, 2), (8, 6))
SCORE_LOGIT_LIMIT: Final = 100.0
MARGIN: Final = 0.5
"""Second look: this share of the longer side is added around the picture."""
TILE_SHARES: Final = (1 / 2, 1 / 3)
"""Last looks: side of a tile, as a share of the longer side; tiles overlap by half or more.

They find faces of a fifteenth and a twenty-fifth of the longer side, the whole picture those of a seventh.
"""

SMALL_SHARE: Final = 1 / 6
"""A face of less than this share of the square that it was found in has a rough box: look again, closer."""
CLOSE_UP: Final = 3.0
"""Side of that closer square over the side of the face."""


class MediaPipeShortRange(OneByOne):
    """The detector. Safe to share by threads."""

    name: str = "mediapipe_simple"
    device: Device = Device.CPU

    def __init__(self, weights: Path, *, min_score: float = 0.5, min_overlap: float = 0.3) -> None:
        self._network = TFLiteNetwork(weights, ("classificators", "regressors"))
        self._anchors = _anchors()
        self._min_score = min_score
        self._min_overlap = min_overlap

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        """Faces in ``image``, highest score first, each with its six keypoints."""
        width, height, longer = image.width, image.height, float(max(image.width, image.height))
        side = longer
        found = self._look(image, [((width / 2, height / 2), side)])
        if not found:
            side = longer * (1 + 2 * MARGIN)
            found = self._look(image, [((width / 2, height / 2), side)])
        for share in TILE_SHARES:
            if not found and longer * share >= INPUT_SIDE:
                side = longer * share
                found = self._look(image, _tiles(width, height, side))
        closer = [self._look_closer(image, face, side) for face in found]
        return tuple(sorted(closer, key=lambda face: -face.score))

    def _look_closer(self, image: Image, face: DetectedFace, side: float) -> DetectedFace:
        """The face as seen in a square of its own, where it was only a few pixels of a square of ``side``."""
        size = max(face.width, face.height)
        if size >= SMALL_SHARE * side:
            return face
        left, top, right, bottom = face.box
        again = self._look(image, [(((left + right) / 2, (top + bottom) / 2), CLOSE_UP * size)])
        if not again:
            return face
        overlaps = overlap_with_each(np.array(face.box), np.array([other.box for other in again]))
        return again[int(np.argmax(overlaps))] if overlaps.max() > self._min_overlap else face

    def _look(
        self, image: Image, squares: list[tuple[tuple[float, float], float]]
    ) -> tuple[DetectedFace, ...]:
        """Faces seen in any of the squares ((center x, center y), side), merged where they overlap."""
        seen: list[Array] = []
        scores: list[Array] = []
        for center, side in squares:
            rows, score = self._run(_sample(image.pixels, center, side))
            # The image's coordinates count from the corner of the square, as the network's do from the corner
            # of its input.
            rows = rows * side + np.tile([center[0] - side / 2, center[1] - side / 2], rows.shape[1] // 2)
            seen.append(rows)
            scores.append(score)
        rows, score = np.concatenate(seen), np.concatenate(scores)
        merged = weighted_suppression(rows[:, :4], rows, score, min_overlap=self._min_overlap)
        return tuple(
            DetectedFace(
                box=(float(row[0]), float(row[1]), float(row[2]), float(row[3])),
                score=best,
                keypoints=row[4:].reshape(6, 2),
            )
            for row, best in merged
        )

    def _run(self, square: NDArray[np.uint8]) -> tuple[Array, Array]:
        """Candidates above the threshold.

        Rows (N, 16) of box corners and keypoints, 0 to 1 over the square; scores (N,).
        """
        logits, regressed = self._network.run(square.astype(np.float32) / np.float32(127.5) - np.float32(1))
        logits, regressed = (
            logits.reshape(-1).astype(np.float64),
            regressed.reshape(-1, 16).astype(np.float64),
        )
        scores = 1 / (1 + np.exp(-np.clip(logits, -SCORE_LOGIT_LIMIT, SCORE_LOGIT_LIMIT)))
        keep = scores >= self._min_score
        numbers, anchors = regressed[keep] / INPUT_SIDE, self._anchors[keep]
        center, size = anchors + numbers[:, :2], numbers[:, 2:4]
        keypoints = numbers[:, 4:].reshape(-1, 6, 2) + anchors[:, None]
        rows = np.concatenate([center - size / 2, center + size / 2, keypoints.reshape(-1, 12)], axis=1)
        usable = (size > 0).all(axis=1)
        return rows[usable], scores[keep][usable]


def _anchors() -> Array:
    """Centers (896, 2) of the anchors, x and y from 0 to 1."""
    grids = []
    for cells, repeats in GRIDS:
        y, x = np.mgrid[0:cells, 0:cells]
        grids.append(np.repeat((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells, repeats, axis=0))
    return np.concatenate(grids)


def _sample(pixels: NDArray[np.uint8], center: tuple[float, float], side: float) -> NDArray[np.uint8]:
    """The square around ``center`` at the network's size, black beyond the picture.

    Bilinear without smoothing and corner on corner, as MediaPipe's CPU path samples: the network's keypoints
    are regressed from it.
    """
    step = side / INPUT_SIDE
    to_image = np.array([[step, 0.0, center[0] - side / 2], [0.0, step, center[1] - side / 2]])
    square = cv2.warpAffine(
        pixels,
        to_image,
        (INPUT_SIDE, INPUT_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return np.asarray(square, dtype=np.uint8)


def _tiles(width: int, height: int, side: float) -> list[tuple[tuple[float, float], float]]:
    """Squares of ``side`` over the picture, neighbors overlapping by half or more."""

    def centers(length: int) -> list[float]:
        if length <= side:
            return [length / 2]
        count = math.ceil((length - side) / (side / 2)) + 1
        return [float(c) for c in np.linspace(side / 2, length - side / 2, count)]

    return [((x, y), side) for y in centers(height) for x in centers(width)]


def _build(weights: Sequence[Path], _device: Device, _base: FaceDetector | None) -> FaceDetector:
    return MediaPipeShortRange(weights[0])


DETECTOR = DetectorKind(
    name="mediapipe_simple",
    title="MediaPipe, short range",
    scheme="mediapipe6",
    weights=("face-detection-short-range",),
    build=_build,
)

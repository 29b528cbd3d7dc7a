"""The cascade: windows of a pyramid, refined twice on crops of their own.

Sides of boxes are not rounded to whole pixels between the steps, as the first implementations do: crops are
sampled where the box lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.detection.detector import Faces, OneByOne
from recon_service.detection.mtcnn.stages import Floats, Stages
from recon_service.detection.suppression import faces_of, greedy_suppression
from recon_service.domain.arrays import Array
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device

WINDOW: Final = 12
STEP: Final = 2
PYRAMID_FACTOR: Final = math.sqrt(0.5)
PROPOSALS: Final = 1000
"""More are never refined, so that a picture full of texture cannot take minutes."""


class Mtcnn(OneByOne):
    """The detector; thread-safe.

    min_face: side of the smallest faces that are looked for, pixels, or as a share of the shorter side of the
    picture where that is more. thresholds: least probability after each of the three networks.
    """

    name: str = "mtcnn"
    device: Device = Device.CPU

    def __init__(
        self,
        pnet: Path,
        rnet: Path,
        onet: Path,
        *,
        min_face: float = 20.0,
        min_share: float = 1 / 24,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.9),
    ) -> None:
        self._stages = Stages(pnet, rnet, onet)
        self._min_face, self._min_share, self._thresholds = min_face, min_share, thresholds

    def detect(self, image: Image) -> Faces:
        """Faces in ``image``, highest score first, each with its five landmarks."""
        boxes = self._proposed(image.pixels)
        if not len(boxes):
            return ()
        scores, moves = self._stages.refine(_crops(image.pixels, boxes, 24))
        keep = np.flatnonzero(scores > self._thresholds[1])
        boxes = boxes[keep][(kept := greedy_suppression(boxes[keep], _f64(scores[keep]), max_overlap=0.7))]
        boxes = _squared(_moved(boxes, moves[keep][kept]))
        if not len(boxes):
            return ()
        scores, moves, landmarks = self._stages.finish(_crops(image.pixels, boxes, 48))
        keep = np.flatnonzero(scores > self._thresholds[2])
        boxes = boxes[keep]
        size = boxes[:, None, 2:] - boxes[:, None, :2]
        points = boxes[:, None, :2] + _f64(landmarks[keep]) * size
        final = _moved(boxes, moves[keep])
        return _without_parts(faces_of(final, _f64(scores[keep]), points, scheme="five", max_overlap=0.5))

    def _proposed(self, pixels: NDArray[np.uint8]) -> Array:
        """Boxes (N, 4), squared, of the windows of all levels that may hold a face."""
        height, width = pixels.shape[:2]
        scale = WINDOW / max(self._min_face, self._min_share * min(height, width))
        boxes: list[Array] = []
        scores: list[Array] = []
        moves: list[Array] = []
        while min(height, width) * scale >= WINDOW:
            size = (math.ceil(width * scale), math.ceil(height * scale))
            level = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
            score, move = self._stages.propose(_normalized(level[None]))
            row, column = np.nonzero(score[0] > self._thresholds[0])
            if len(row):
                corner = STEP * np.stack([column, row], axis=1).astype(np.float64)
                ratio = np.array([width / size[0], height / size[1]])
                found = np.concatenate([corner * ratio, (corner + WINDOW) * ratio], axis=1)
                kept = greedy_suppression(found, _f64(score[0, row, column]), max_overlap=0.5)
                boxes.append(found[kept])
                scores.append(_f64(score[0, row, column])[kept])
                moves.append(_f64(move[0, row, column])[kept])
            scale *= PYRAMID_FACTOR
        if not boxes:
            return np.empty((0, 4))
        every, score_of = np.concatenate(boxes), np.concatenate(scores)
        kept = greedy_suppression(every, score_of, max_overlap=0.7)[:PROPOSALS]
        return _squared(_moved(every[kept], np.concatenate(moves)[kept]))


def _f64(values: Floats) -> Array:
    return values.astype(np.float64)


def _normalized(pixels: NDArray[np.uint8]) -> Floats:
    return (pixels.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)


def _moved(boxes: Array, moves: Floats | Array) -> Array:
    size = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(boxes + moves * np.concatenate([size, size], axis=1))


def _squared(boxes: Array) -> Array:
    """About the same centers, with the longer side."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([center - half, center + half], axis=1)


def _crops(pixels: NDArray[np.uint8], boxes: Array, side: int) -> Floats:
    """(N, side, side, 3): what lies in each box, the middle gray of the networks beyond the picture."""
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    for i, (left, top, right, bottom) in enumerate(boxes):
        step_x, step_y = (right - left) / side, (bottom - top) / side
        part, low = pixels, np.zeros(2)
        shrink = int(min(step_x, step_y))
        if shrink >= 2:
            part, low = _part(pixels, (left, top, right, bottom), shrink)
        factor = shrink if shrink >= 2 else 1
        # The center of the crop's pixel (0, 0) lies half a step inside the box.
        offset = (np.array([left + step_x / 2, top + step_y / 2]) - low) / factor - 0.5
        to_part = np.array([[step_x / factor, 0, offset[0]], [0, step_y / factor, offset[1]]])
        crops[i] = cv2.warpAffine(
            part,
            to_part,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(128, 128, 128),
        )
    return _normalized(crops)


def _part(pixels: NDArray[np.uint8], box: Sequence[float], factor: int) -> tuple[NDArray[np.uint8], Array]:
    """What lies in the box, averaged over blocks, and where it begins: bilinear sampling would skip
    pixels.
    """
    height, width = pixels.shape[:2]
    left, top = (
        int(np.clip(math.floor(v) - factor, 0, n - 1)) for v, n in zip(box[:2], (width, height), strict=True)
    )
    right = int(np.clip(math.ceil(box[2]) + factor, left + 1, width))
    bottom = int(np.clip(math.ceil(box[3]) + factor, top + 1, height))
    size = (max((right - left) // factor, 1), max((bottom - top) // factor, 1))
    right, bottom = min(left + size[0] * factor, width), min(top + size[1] * factor, height)
    small = cv2.resize(pixels[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8), np.array([float(left), float(top)])


def _without_parts(faces: Faces) -> Faces:
    """Without the boxes that lie mostly inside a better one: parts of a face answer too."""
    kept: list[DetectedFace] = []
    for face in faces:
        if not any(_inside(face.box, other.box) > 0.7 for other in kept):
            kept.append(face)
    return tuple(kept)


def _inside(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Share of the smaller box that both have."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return max(width, 0.0) * max(height, 0.0) / min(areas)

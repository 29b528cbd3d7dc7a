"""FaceBoxes around the network: the picture it is shown, its anchors, and faces from its output. numpy."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

MEAN_BGR = (104.0, 117.0, 123.0)
MAX_HEIGHT, MAX_WIDTH = 720, 1080
CENTER_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
CANDIDATE_SCORE = 0.05
MAX_CANDIDATES = 5000
OVERLAP = 0.3
MAX_KEPT = 750
FACE_SCORE = 0.5

# stride: (side of the anchor in pixels, anchors along each side of a cell)
_ANCHORS = {32: ((32, 4), (64, 2), (128, 1)), 64: ((256, 1),), 128: ((512, 1),)}


def scale_of(height: int, width: int) -> float:
    """Factor by which the detector shrinks a picture of this size."""
    scale = MAX_HEIGHT / height if height > MAX_HEIGHT else 1.0
    return MAX_WIDTH / width if width * scale > MAX_WIDTH else scale


def network_input(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """(3, H, W) float32 BGR of a picture (H, W, 3) uint8 RGB, and the factor it was shrunk by."""
    height, width = rgb.shape[:2]
    scale = scale_of(height, width)
    if scale != 1.0:
        size = (max(1, int(scale * width)), max(1, int(scale * height)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
    # Swaps, converts, subtracts and transposes in one pass, and on the small picture.
    planes = cv2.dnn.blobFromImage(rgb, 1.0, mean=MEAN_BGR, swapRB=True)
    return np.asarray(planes[0]), scale


@lru_cache(maxsize=32)
def priors(height: int, width: int) -> np.ndarray:
    """(P, 4) float32 anchors as center x, center y, width, height over the size of the network's input."""
    parts = []
    for stride, kinds in _ANCHORS.items():
        rows, columns = -(-height // stride), -(-width // stride)
        cells = []
        for side, along in kinds:
            # A cell with one anchor has it in the middle, a denser one at equal steps from its corner.
            steps = np.array([0.5]) if along == 1 else np.arange(along) / along
            cy = (np.arange(rows)[:, None, None, None] + steps[None, None, :, None]) * stride / height
            cx = (np.arange(columns)[None, :, None, None] + steps[None, None, None, :]) * stride / width
            cy, cx = np.broadcast_arrays(cy, cx)
            size = np.full((*cx.shape, 2), [side / width, side / height])
            cell = np.concatenate([cx[..., None], cy[..., None], size], axis=-1)
            cells.append(cell.reshape(rows * columns, along * along, 4))
        parts.append(np.concatenate(cells, axis=1).reshape(-1, 4))
    anchors = np.concatenate(parts).astype(np.float32)
    anchors.flags.writeable = False
    return anchors


def decoded(
    offsets: np.ndarray, height: int, width: int, scale: float, chosen: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """(C, 4) left, top, right, bottom in pixels of the original picture from the network's (P, 4) offsets.

    chosen: (C,) which of them, all by default.
    """
    anchors, offsets = priors(height, width)[chosen], offsets[chosen]
    center = anchors[:, :2] + np.float32(CENTER_VARIANCE) * offsets[:, :2] * anchors[:, 2:]
    size = anchors[:, 2:] * np.exp(np.float32(SIZE_VARIANCE) * offsets[:, 2:])
    low = center - size / 2
    boxes = np.concatenate([low, low + size], axis=1)
    return np.asarray(boxes * np.array([width, height, width, height], np.float32) / np.float32(scale))


def suppressed(boxes: np.ndarray, overlap: float = OVERLAP) -> np.ndarray:
    """Rows that greedy non-maximum suppression keeps of boxes (N, 5) in the order of falling score."""
    left, top, right, bottom = boxes[:, :4].T
    area = (right - left + 1) * (bottom - top + 1)
    order, kept = np.arange(len(boxes)), []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        wide = np.maximum(0, np.minimum(right[first], right[rest]) - np.maximum(left[first], left[rest]) + 1)
        tall = np.maximum(0, np.minimum(bottom[first], bottom[rest]) - np.maximum(top[first], top[rest]) + 1)
        shared = wide * tall
        order = rest[shared / (area[first] + area[rest] - shared) < overlap]
    return np.array(kept, dtype=np.int64)


def faces(offsets: np.ndarray, scores: np.ndarray, height: int, width: int, scale: float) -> np.ndarray:
    """(N, 5) left, top, right, bottom, score of the faces, best first.

    offsets: (P, 4) and scores: (P,) of one picture, height and width those of the network's input.
    """
    candidates = np.flatnonzero(scores > CANDIDATE_SCORE)
    candidates = candidates[np.argsort(-scores[candidates], kind="stable")[:MAX_CANDIDATES]]
    boxes = decoded(offsets, height, width, scale, candidates)
    found = np.concatenate([boxes, scores[candidates, None]], axis=1)
    kept = found[suppressed(found)][:MAX_KEPT]
    return np.asarray(kept[kept[:, 4] > FACE_SCORE])

"""Merging of detections that overlap: one face answers at many anchors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.faces import DetectedFace


def overlap_with_each(box: Array, boxes: Array) -> Array:
    """Intersection over union (N,) of one box (4,) with boxes (N, 4); boxes are left, top, right, bottom."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    union = area + np.prod(np.maximum(box[2:] - box[:2], 0.0)) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def weighted_suppression(
    boxes: Array, rows: Array, scores: Array, *, min_overlap: float
) -> list[tuple[Array, float]]:
    """Groups of overlapping detections, each averaged with its scores as weights; highest score first.

    boxes: (N, 4). rows: (N, M), what is averaged (the box and its keypoints). scores: (N,). Each group is
    what overlaps its highest detection by more than ``min_overlap``; it keeps that detection's score.
    Averaging rather than picking makes the box steadier than the grid of anchors is.
    """
    order = np.argsort(-scores, kind="stable")
    merged: list[tuple[Array, float]] = []
    while order.size:
        best = order[0]
        together = overlap_with_each(boxes[best], boxes[order]) > min_overlap
        together[0] = True
        group = order[together]
        weights = scores[group] / scores[group].sum()
        merged.append((weights @ rows[group], float(scores[best])))
        order = order[~together]
    return merged


def greedy_suppression(boxes: Array, scores: Array, *, max_overlap: float) -> NDArray[np.intp]:
    """Rows that are kept, highest score first: each that overlaps none kept before by more than
    ``max_overlap``.

    boxes: (N, 4). scores: (N,).
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[overlap_with_each(boxes[best], boxes[rest]) <= max_overlap]
    return np.array(kept, dtype=np.intp)


def faces_of(
    boxes: Array, scores: Array, keypoints: Array, *, scheme: str, max_overlap: float, limit: int = 200
) -> tuple[DetectedFace, ...]:
    """Faces after ``greedy_suppression``; boxes without a size are dropped.

    boxes: (N, 4). scores: (N,). keypoints: (N, M, 2).
    """
    usable = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)
    boxes, scores, keypoints = boxes[usable], scores[usable], keypoints[usable]
    best = np.argsort(-scores, kind="stable")[: 10 * limit]
    boxes, scores, keypoints = boxes[best], scores[best], keypoints[best]
    return tuple(
        DetectedFace(
            box=(float(boxes[i, 0]), float(boxes[i, 1]), float(boxes[i, 2]), float(boxes[i, 3])),
            score=min(max(float(scores[i]), 0.0), 1.0),
            keypoints=keypoints[i].astype(np.float64),
            scheme=scheme,
        )
        for i in greedy_suppression(boxes, scores, max_overlap=max_overlap)[:limit]
    )

"""Merging of detections that overlap: one face answers at many anchors."""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array


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

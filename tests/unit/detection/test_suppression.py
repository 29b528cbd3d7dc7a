"""Merging of overlapping detections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon_service.detection.suppression import overlap_with_each, weighted_suppression

BOX = np.array([0.0, 0.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([0, 0, 2, 2], 1.0),
        ([1, 0, 3, 2], 1 / 3),
        ([2, 2, 3, 3], 0.0),
        ([0.5, 0.5, 1.5, 1.5], 0.25),
        ([5, 5, 5, 5], 0.0),
    ],
)
def test_overlap_of_known_boxes(other: list[float], expected: float) -> None:
    assert overlap_with_each(BOX, np.array([other], float))[0] == pytest.approx(expected)


def test_a_group_is_averaged_with_its_scores_and_keeps_the_best() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], float)
    merged = weighted_suppression(boxes, boxes, np.array([0.9, 0.6, 0.7]), min_overlap=0.3)
    assert [score for _, score in merged] == [0.9, 0.7]
    np.testing.assert_allclose(merged[0][0], (0.9 * boxes[0] + 0.6 * boxes[1]) / 1.5)
    np.testing.assert_allclose(merged[1][0], boxes[2])


def test_nothing_gives_nothing() -> None:
    assert weighted_suppression(np.zeros((0, 4)), np.zeros((0, 16)), np.zeros(0), min_overlap=0.3) == []


@given(
    arrays(np.float64, (8, 4), elements=st.floats(0, 10)),
    arrays(np.float64, 8, elements=st.floats(0.5, 1), unique=True),
    st.permutations(range(8)),
)
def test_the_order_of_the_detections_does_not_matter(
    numbers: np.ndarray, scores: np.ndarray, order: list[int]
) -> None:
    boxes = np.concatenate([numbers[:, :2], numbers[:, :2] + 0.1 + numbers[:, 2:]], axis=1)
    one = weighted_suppression(boxes, boxes, scores, min_overlap=0.3)
    other = weighted_suppression(boxes[order], boxes[order], scores[order], min_overlap=0.3)
    assert [s for _, s in one] == [s for _, s in other]
    assert [s for _, s in one] == sorted((s for _, s in one), reverse=True)
    for (a, _), (b, _) in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b)

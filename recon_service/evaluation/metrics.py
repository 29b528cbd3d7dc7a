"""Error rates of a biometric comparison (ISO/IEC 19795-1): genuine and impostor scores, higher means more
alike.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue


def equal_error_rate(genuine: Array, impostor: Array) -> float:
    """The rate at which false matches and false non-matches are equally frequent, by the convex hull of the
    ROC.

    The hull (Provost and Fawcett) makes the value independent of ties and of where a threshold happens to
    fall.
    """
    _check(genuine, impostor)
    far, frr = _rates(genuine, impostor)
    hull: list[tuple[float, float]] = []
    for point in zip(far, frr, strict=True):
        while len(hull) >= 2 and _turns_up(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    for (x0, y0), (x1, y1) in pairwise(hull):
        # The segment crosses the diagonal far = frr.
        if (y0 - x0) >= 0 >= (y1 - x1):
            share = (y0 - x0) / max((y0 - x0) - (y1 - x1), 1e-300)
            return float(x0 + share * (x1 - x0))
    return float(hull[0][0])


def area_under_curve(genuine: Array, impostor: Array) -> float:
    """Probability that a genuine score is above an impostor score, ties counted half (Mann-Whitney)."""
    _check(genuine, impostor)
    ordered = np.sort(impostor)
    below = np.searchsorted(ordered, genuine, "left")
    not_above = np.searchsorted(ordered, genuine, "right")
    return float((below + not_above).mean() / (2 * len(impostor)))


def fnmr_at_fmr(genuine: Array, impostor: Array, fmr: float) -> float:
    """False non-match rate at the lowest threshold whose false match rate is at most ``fmr``.

    Raises InvalidValue when there are fewer than 1/fmr impostor comparisons: such a rate cannot be measured
    with them.
    """
    _check(genuine, impostor)
    if len(impostor) * fmr < 1:
        raise InvalidValue(
            f"{len(impostor)} impostor comparisons cannot support a false match rate of {fmr:g}",
            next_step=f"Use at least {int(np.ceil(1 / fmr))} comparisons, or ask for a higher rate.",
        )
    allowed = int(np.floor(len(impostor) * fmr))
    if allowed >= len(impostor):
        return 0.0  # everything may match
    threshold = np.sort(impostor)[::-1][allowed]
    return float((genuine <= threshold).mean())


def cllr(genuine: Array, impostor: Array) -> float:
    """Cost of the log-likelihood ratio in bits (Brümmer and du Preez): 0 is perfect, 1 says nothing.
    Scores: natural log.
    """
    _check(genuine, impostor)
    return float((np.logaddexp(0, -genuine).mean() + np.logaddexp(0, impostor).mean()) / (2 * np.log(2)))


def _rates(genuine: Array, impostor: Array) -> tuple[Array, Array]:
    """False match and false non-match rate at every threshold, from 'match none' to 'match all'."""
    thresholds = np.unique(np.concatenate([genuine, impostor]))[::-1]
    fmr = 1.0 - np.searchsorted(np.sort(impostor), thresholds, "left") / len(impostor)
    fnmr = np.searchsorted(np.sort(genuine), thresholds, "left") / len(genuine)
    return np.concatenate([[0.0], fmr]), np.concatenate([[1.0], fnmr])


def _turns_up(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies on or above the segment from a to c, so that the lower hull skips it."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0


def _check(genuine: Array, impostor: Array) -> None:
    if len(genuine) == 0 or len(impostor) == 0:
        raise InvalidValue("error rates need genuine and impostor comparisons")
    if not (np.isfinite(genuine).all() and np.isfinite(impostor).all()):
        raise InvalidValue("comparison scores must be finite")

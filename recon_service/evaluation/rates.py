"""The figures of one score of one row, and the refusal of those that the comparisons cannot support."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.evaluation.bootstrap import interval, resamples
from recon_service.evaluation.calibration import min_cllr
from recon_service.evaluation.metrics import area_under_curve, cllr, equal_error_rate, fnmr_at_fmr

OPERATING_POINTS = {"1e-2": 1e-2, "1e-3": 1e-3}
RULE_OF_THREE = 3.0
"""No false match in 3/p comparisons bounds the rate by p at 95 % confidence; fewer say nothing of p."""
LEAST_SHARE_OF_A_PAIR = 0.1
"""Of all impostor comparisons, one of n pairs of people has the share 1/n: a rate below a tenth of it would
be how one pair of people happens to look."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares, not percent. fnmr: by operating point ("1e-2"), None where it is refused, with the reason in
    ``refused``. cllr: in bits, None for a score that is no log-likelihood ratio.
    """

    eer: float
    auc: float
    fnmr: dict[str, float | None]
    min_cllr: float
    cllr: float | None
    intervals: dict[str, Interval | None]
    refused: dict[str, str] = field(default_factory=dict)


def refusal(fmr: float, impostor: int, pairs: int) -> str:
    """Why a false match rate cannot be measured with so many impostor comparisons between so many pairs of
    people; empty if it can.
    """
    needed = round(RULE_OF_THREE / fmr)
    if impostor < needed:
        return f"{impostor:,} impostor comparisons; a false match rate of {fmr:g} needs {needed:,}"
    least = round(LEAST_SHARE_OF_A_PAIR / fmr)
    if pairs < least:
        return f"{pairs} pairs of people; a false match rate of {fmr:g} needs {least}"
    return ""


def rates(
    scores: Array,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    people: int,
    *,
    is_llr: bool,
    seed: int = 0,
) -> Rates:
    """The figures of scores (m,), with the numbers of the two people of each comparison."""
    genuine, impostor = scores[first == second], scores[first != second]
    pairs = people_pairs(first, second)
    fnmr: dict[str, float | None] = {}
    refused: dict[str, str] = {}
    for name, fmr in OPERATING_POINTS.items():
        refused[name] = refusal(fmr, len(impostor), pairs)
        fnmr[name] = None if refused[name] else fnmr_at_fmr(genuine, impostor, fmr)
    eer, auc = equal_error_rate(genuine, impostor), area_under_curve(genuine, impostor)
    drawn = list(resamples(scores, first, second, people, seed=seed))
    intervals = {
        "eer": interval([draw.equal_error_rate() for draw in drawn], eer, people),
        "auc": interval([draw.area_under_curve() for draw in drawn], auc, people),
    }
    for name, fmr in OPERATING_POINTS.items():
        at, key = fnmr[name], f"fnmr_at_fmr_{name}"
        intervals[key] = None if at is None else interval([draw.fnmr_at(fmr) for draw in drawn], at, people)
    return Rates(
        eer=eer,
        auc=auc,
        fnmr=fnmr,
        min_cllr=min_cllr(genuine, impostor),
        cllr=cllr(genuine, impostor) if is_llr else None,
        intervals=intervals,
        refused={name: reason for name, reason in refused.items() if reason},
    )


def people_pairs(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """Distinct unordered pairs of different people."""
    other = first != second
    ends = np.sort(np.stack([first[other], second[other]], axis=1), axis=1)
    return len(np.unique(ends, axis=0))

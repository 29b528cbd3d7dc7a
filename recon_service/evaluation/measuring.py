"""From scores of people that nothing was learned from to the figures that a calibration keeps."""

from __future__ import annotations

import numpy as np

from recon_service.comparison.measured import Measured
from recon_service.domain.arrays import Array
from recon_service.evaluation.calibration import min_cllr
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.metrics import cllr, equal_error_rate
from recon_service.evaluation.rates import people_pairs

THRESHOLDS = tuple(np.arange(-2.0, 10.25, 0.5).tolist())
"""Log-likelihood ratios at which the error rates of every pair are kept."""


def measured_of(
    dataset: str,
    first: Observed,
    second: Observed,
    pairs: Comparisons,
    values: Array,
    *,
    before: Array | None = None,
) -> Measured:
    """The figures of cross-validated log-likelihood ratios (m,) of the pairs. before: (m,) the same without
    the map.
    """
    names = sorted({*first.person.tolist(), *second.person.tolist()})
    number = {name: place for place, name in enumerate(names)}
    owners = [np.array([number[str(name)] for name in side.person]) for side in (first, second)]
    a, b = owners[0][pairs.reference], owners[1][pairs.probe]
    same = a == b
    genuine, impostor = values[same], values[~same]
    ends = np.minimum(a, b)[~same] * len(names) + np.maximum(a, b)[~same]
    _, pair_of, sizes = np.unique(ends, return_inverse=True, return_counts=True)
    false = [float((np.bincount(pair_of, impostor >= t) / sizes).sum()) for t in THRESHOLDS]
    return Measured(
        dataset=dataset,
        people=len(names),
        pairs=people_pairs(a, b),
        genuine=len(genuine),
        impostor=len(impostor),
        eer=equal_error_rate(genuine, impostor),
        cllr=cllr(genuine, impostor),
        min_cllr=min_cllr(genuine, impostor),
        thresholds=THRESHOLDS,
        false_matches=tuple(false),
        false_non_matches=tuple(float((genuine < t).mean()) for t in THRESHOLDS),
        cllr_before=None if before is None else cllr(before[same], before[~same]),
    )

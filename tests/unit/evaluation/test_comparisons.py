from __future__ import annotations

import numpy as np
import pytest

from recon_service.comparison.likelihood_ratio import compare
from recon_service.evaluation.comparisons import Comparisons, Corrected, Observed, log_likelihood_ratios
from tests.observations import random_posterior
from tests.people import NOISE


@pytest.mark.parametrize("sources", [("generic", "centered"), ("centered", "generic")])
def test_many_pairs_score_as_the_service_scores_one(sources: tuple[str, str]) -> None:
    rng = np.random.default_rng(1)
    posteriors = [[random_posterior(rng) for _ in range(3)] for _ in sources]
    first, second = (
        Corrected.of(Observed.of(["a", "b", "c"], side, source), NOISE.of(source))
        for side, source in zip(posteriors, sources, strict=True)
    )
    a, b = (x.ravel() for x in np.indices((3, 3)))
    found = log_likelihood_ratios(first, second, Comparisons(a, b))
    expected = [
        compare(
            posteriors[0][i],
            posteriors[1][j],
            reference_source=sources[0],
            probe_source=sources[1],
            noise=NOISE,
        ).llr
        for i, j in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_center_learned_later_is_the_tables_center() -> None:
    rng = np.random.default_rng(2)
    side = Observed.of(["a", "b"], [random_posterior(rng) for _ in range(2)], "generic")
    center = NOISE.of("centered").center
    assert center is not None
    at_once = Corrected.of(side, NOISE.of("centered"))
    later = Corrected.of(side, NOISE.of("generic")).centered(center)
    np.testing.assert_allclose(at_once.vector, later.vector, rtol=1e-12)
    np.testing.assert_allclose(at_once.information, later.information, rtol=1e-12)

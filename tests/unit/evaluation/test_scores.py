from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon_service.evaluation.calibration import min_cllr
from recon_service.evaluation.comparisons import Observed
from recon_service.evaluation.metrics import cllr, equal_error_rate
from recon_service.evaluation.scores import Calibration, Scored, Sides, scores
from tests.people import all_pairs, observed, plain_calibration


def found(side: Observed, *, cross_validate: bool) -> dict[str, Scored]:
    return {
        s.name: s
        for s in scores(
            Sides(side, side, all_pairs(side), plain_calibration(side.mean.shape[1]), True),
            cross_validate=cross_validate,
        )
    }


def test_the_released_score_comes_first_unless_others_are_learned_from() -> None:
    side = observed(np.random.default_rng(0), people=8, each=3)
    released = found(side, cross_validate=False)
    assert [(s.name, s.calibration) for s in released.values()] == [
        ("llr", Calibration.RELEASED),
        ("cosine", Calibration.NONE),
    ]
    assert next(iter(found(side, cross_validate=True).values())).calibration is Calibration.CROSS_VALIDATED


def test_learning_on_others_mends_an_offset_and_the_scale_of_the_score() -> None:
    side = observed(np.random.default_rng(4), people=16, each=4, modes=12)
    offset = np.full(12, 4.0)
    moved = replace(side, mean=side.mean + offset)
    pairs = all_pairs(moved)
    genuine = moved.person[pairs.reference] == moved.person[pairs.probe]
    errors, costs = {}, {}
    for name, score in found(moved, cross_validate=True).items():
        assert score.values is not None
        errors[name] = equal_error_rate(score.values[genuine], score.values[~genuine])
        costs[name] = cllr(score.values[genuine], score.values[~genuine])
    # Nothing is to be had from a whitening where all directions are alike: little is lost.
    assert errors["learned-llr"] < errors["llr"] + 0.03
    assert errors["whitened-cosine"] < errors["cosine"] + 0.03
    learned = found(moved, cross_validate=True)["learned-llr"].values
    assert learned is not None
    assert costs["learned-llr"] < costs["llr"]
    assert costs["learned-llr"] < min_cllr(learned[genuine], learned[~genuine]) + 0.1

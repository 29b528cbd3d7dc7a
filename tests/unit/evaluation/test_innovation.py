"""The normalized innovation: 1 where what is expected of one person is what is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon_service.evaluation.comparisons import Observed
from recon_service.evaluation.innovation import normalized_innovation
from recon_service.evaluation.scores import Sides
from tests.people import all_pairs, observed, plain_calibration


def sides(side: Observed) -> Sides:
    return Sides(side, side, all_pairs(side), plain_calibration(side.mean.shape[1]), True)


def test_people_who_vary_as_the_others_do_have_one() -> None:
    found = normalized_innovation(sides(observed(np.random.default_rng(2), people=40, each=6, modes=14)))
    assert found is not None
    assert 0.85 < found.mean < 1.15
    assert found.interval[0] < found.mean < found.interval[1]
    assert found.modes == 12


def test_people_who_vary_more_than_others_stand_out() -> None:
    side = observed(np.random.default_rng(2), people=20, each=6, modes=14)
    wild = side.person == sorted(set(side.person))[0]
    mean = side.mean.copy()
    mean[wild] += 6.0 * np.random.default_rng(3).standard_normal(mean[wild].shape)
    calm, found = normalized_innovation(sides(side)), normalized_innovation(sides(replace(side, mean=mean)))
    assert calm is not None
    assert found is not None
    assert found.mean > calm.mean + 0.3


def test_too_few_people_to_learn_on_others_have_none() -> None:
    assert normalized_innovation(sides(observed(np.random.default_rng(2), people=4, each=3))) is None

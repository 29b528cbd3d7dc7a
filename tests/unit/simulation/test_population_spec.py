from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.simulation.population import PopulationSpec, ShapeSpec, SyntheticPopulation


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"subjects": 0}, {"width": 10}, {"expression": -0.1}])
def test_a_specification_is_checked(wrong):
    with pytest.raises(InvalidValue):
        PopulationSpec(**wrong)


@pytest.mark.parametrize("wrong", [{"tail_freedom": 2.0}, {"leading_sd": -1.0}, {"patches": ((6.0, -0.1),)}])
def test_a_distribution_of_shapes_is_checked(wrong):
    with pytest.raises(InvalidValue):
        ShapeSpec(**wrong)


def test_the_key_tells_populations_apart_but_not_by_their_size():
    spec = PopulationSpec(seed=1, subjects=10)
    assert spec.key() == replace(spec, subjects=200).key()
    others = [
        replace(spec, seed=2),
        replace(spec, expression=2.0),
        replace(spec, shape=ShapeSpec(level_sd=0.3)),
    ]
    assert len({spec.key(), *(other.key() for other in others)}) == 4


def test_streams_of_random_numbers_are_reproducible_and_apart():
    spec = PopulationSpec(seed=3)
    draws = [
        tuple(spec.random(*stream).integers(2**40, size=4))
        for stream in [
            ("shape", 0),
            ("shape", 1),
            ("skin", 0),
            ("selfie", 0, 1),
            ("selfie", 1, 0),
            ("shape", 0),
        ]
    ]
    assert draws[0] == draws[-1]
    assert len(set(draws)) == 5


def test_a_population_ends():
    population = SyntheticPopulation(PopulationSpec(seed=7, subjects=4))
    assert len(population) == 4
    assert [s.identity_name for s in population] == [f"synthetic-7-{n:05d}" for n in range(4)]
    with pytest.raises(InvalidValue, match="no subject 4"):
        population.subject(4)


def test_selfies_that_are_not_foreseen_are_refused():
    subject = SyntheticPopulation(PopulationSpec()).subject(0)
    for count in (0, 99):
        with pytest.raises(InvalidValue):
            subject.selfies(count)


def test_variates_of_heavy_tails_have_unit_variance():
    spec = ShapeSpec()
    unit = np.sqrt((spec.tail_freedom - 2) / spec.tail_freedom)
    assert np.var(unit * np.random.default_rng(0).standard_t(spec.tail_freedom, 200_000)) == pytest.approx(
        1, rel=0.03
    )

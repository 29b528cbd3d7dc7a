from __future__ import annotations

import json
from pathlib import Path

import pytest

from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.cli.evaluate_attacks import as_json, table
from recon_service.evaluation.attacks import AttackResult, clopper_pearson, evaluate_attacks
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.simulation import TimeOfFlight
from recon_service.simulation.prints import SPECIES


@pytest.mark.parametrize(
    ("errors", "trials", "expected"),
    [(0, 10, (0.0, 0.3085)), (10, 10, (0.6915, 1.0)), (1, 20, (0.0013, 0.2487))],
)
def test_intervals_are_the_exact_binomial_ones(
    errors: int, trials: int, expected: tuple[float, float]
) -> None:
    assert clopper_pearson(errors, trials) == pytest.approx(expected, abs=1e-4)
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.fixture(scope="module")
def result(cases: Path) -> AttackResult:
    dataset = kinect2(cases / "kinect2_dev").first(3)
    pipeline = build_pipeline(ModelChoice.BUILTIN, appearance="off")
    return evaluate_attacks(dataset, TimeOfFlight(), pipeline, frames=2)


def test_real_faces_pass_and_artefacts_do_not(result: AttackResult) -> None:
    assert result.bona_fide.presentations == 6
    assert result.bona_fide.errors == 0
    assert {species.name for species in result.species} == set(SPECIES)
    for species in result.species:
        assert (species.presentations, species.errors) == (6, 0), species.name


def test_the_result_is_told_to_people_and_machines(result: AttackResult) -> None:
    told = json.loads(json.dumps(as_json(result)))
    assert told["bpcer"]["rate"] == 0.0
    assert set(told["apcer"]) == set(SPECIES)
    assert told["apcer"]["flat-print"]["interval"][1] == pytest.approx(0.459, abs=1e-3)
    assert table(result).row_count == 1 + len(SPECIES)

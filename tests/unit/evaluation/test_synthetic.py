from __future__ import annotations

import pickle

import pytest

from recon_service.evaluation.comparisons import comparisons
from recon_service.evaluation.datasets.synthetic import FRAMES, SELFIES, VISITS, Sensor, synthetic
from recon_service.evaluation.draws import drawn
from recon_service.evaluation.rows import Row
from recon_service.simulation.population import PopulationSpec

SPEC = PopulationSpec(seed=4, subjects=3)


def test_an_enrollment_is_the_beginning_of_a_guided_session_and_a_probe_one_visit() -> None:
    one = drawn(Row.parse("image3-depth3"), synthetic(SPEC).subjects, draws=4, seed=0)
    assert [[item.label for item in sample.items] for sample in one.references] == [["0", "1", "2"]] * 3
    assert {tuple(item.label for item in sample.items) for sample in one.probes} == {
        tuple(f"{visit}/{frame}" for frame in range(FRAMES)) for visit in range(VISITS)
    }


def test_depth_is_compared_between_two_visits() -> None:
    one = drawn(Row.parse("depth3-depth3"), synthetic(SPEC).subjects, draws=4, seed=0)
    pairs = comparisons(one)
    assert len(pairs) > 0
    for a, b in zip(pairs.reference, pairs.probe, strict=True):
        assert one.references[a].groups != one.probes[b].groups


def test_a_person_travels_as_the_specification() -> None:
    person = synthetic(SPEC).subjects[1]
    assert len(pickle.dumps(person)) < 2000
    assert pickle.loads(pickle.dumps(person)) == person
    assert len(person.items()) == SELFIES + VISITS * FRAMES


@pytest.mark.parametrize("sensor", list(Sensor))
def test_a_fingerprint_tells_what_was_rendered(sensor: Sensor) -> None:
    plain = synthetic(SPEC, sensor=sensor).subjects[0]
    selfie, frame = plain.items()[0], plain.items()[-1]
    others = [
        synthetic(SPEC, sensor=sensor, degraded=True).subjects[0],
        synthetic(SPEC, sensor=sensor, images=True).subjects[0],
        synthetic(SPEC, sensor=sensor).subjects[1],
        synthetic(PopulationSpec(seed=5), sensor=sensor).subjects[0],
    ]
    assert [plain.fingerprint(selfie) == other.fingerprint(selfie) for other in others] == [
        False,
        True,
        False,
        False,
    ]
    assert [plain.fingerprint(frame) == other.fingerprint(frame) for other in others] == [
        True,
        False,
        False,
        False,
    ]
    assert synthetic(SPEC, sensor=sensor).sensor.startswith("simulated-")

"""Evaluation sets of batches: what is drawn of whom, under which key, and by what a side is scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from recon_service.application.records.evaluations import EvaluationSet
from recon_service.comparison.calibration_file import BUILTIN, RELEASED, load_calibration
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected, InvalidValue, ModelMismatch
from recon_service.evaluated_versions import installed_calibration
from recon_service.evaluation.dataset import Dataset, Item, Medium
from recon_service.evaluation.version_sets import POPULATION, OpenedSet, open_set
from tests.people import Listed


@dataclass(frozen=True)
class Recorded(Listed):
    """Counts nothing and shows names."""

    def picture(self, item: Item) -> bytes:
        return f"{self.name}/{item.label}".encode()

    def frame(self, item: Item) -> DepthFrame:
        raise DepthRejected("it cannot be read")


def person(name: str, *, pictures: int, visits: int = 2, frames: int = 3, take: int = 0) -> Recorded:
    selfies = [Item(Medium.IMAGE, f"p{n}.{take}", "enroll", f"e{n}") for n in range(pictures)]
    depth = [
        Item(Medium.DEPTH, f"v{v}/{n}", f"v{v}", f"probe/v{v}") for v in range(visits) for n in range(frames)
    ]
    return Recorded(name, (*selfies, *depth))


def test_the_most_that_two_people_have_is_drawn_and_nobody_without() -> None:
    people = [person(name, pictures=5) for name in "abc"] + [person("poor", pictures=2)]
    opened = OpenedSet(Dataset("made", "generic", people))
    facts = opened.facts()
    assert (facts.dataset, facts.row, facts.people) == ("made", "image5-depth3", 3)
    recorded = opened.person(1)
    assert {len(selfies) for selfies in recorded.enrollments} == {5}
    assert all(content.startswith(b"b/") for selfies in recorded.enrollments for content in selfies)
    assert len(recorded.visits) == 2
    assert recorded.visits[0] == (), "a frame that cannot be read is none"
    assert opened.person(1) is recorded, "made once for both ways"

    few = OpenedSet(Dataset("few", "generic", [person(n, pictures=1, frames=1) for n in "ab"]))
    assert few.facts().row == "image1-depth1"
    with pytest.raises(InvalidValue, match="no two people"):
        OpenedSet(Dataset("none", "generic", [person(n, pictures=0) for n in "ab"]))


def test_the_key_is_of_the_content() -> None:
    people = [person(name, pictures=3) for name in "ab"]
    keys = [
        OpenedSet(Dataset(name, "generic", recorded)).facts().key
        for name, recorded in (
            ("one", people),
            ("another name", people),
            ("changed", [people[0], person("b", pictures=3, take=1)]),
        )
    ]
    assert keys[0] == keys[1] != keys[2]


def test_with_many_people_every_one_enrolls_once() -> None:
    people = [person(f"p{n:02}", pictures=9, visits=6) for n in range(61)]
    opened = OpenedSet(Dataset("many", "generic", people))
    assert len(opened.person(0).enrollments) == len(opened.person(0).visits) == 1


def test_sets_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no simulated people"):
        open_set(EvaluationSet.SIMULATED, people=0, real=None)
    with pytest.raises(InvalidValue, match="no evaluation set of real people"):
        open_set(EvaluationSet.REAL, people=24, real=None)
    with pytest.raises(InvalidValue, match=r"dataset\.toml"):
        open_set(EvaluationSet.REAL, people=24, real=tmp_path)


def test_nothing_was_learned_on_the_simulated_people() -> None:
    for path in (RELEASED, BUILTIN):
        assert f"synthetic-{POPULATION}" not in str(load_calibration(path).provenance)


def test_a_side_is_scored_by_its_own_calibration_or_one_that_accepts_it() -> None:
    in_force, other = load_calibration(RELEASED), load_calibration(BUILTIN)
    assert installed_calibration(in_force.identity, in_force) is in_force
    assert installed_calibration(other.identity, in_force).identity == other.identity
    with pytest.raises(ModelMismatch):
        installed_calibration("released-0@0123456789ab", in_force)
    lenient = replace(in_force, accepts=("released-0",))
    assert installed_calibration("released-0@0123456789ab", lenient) is lenient

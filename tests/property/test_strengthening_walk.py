"""No template can be walked to another person, by somebody who knows everything and shows any face."""

from __future__ import annotations

import pytest

from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.policies import load_policies
from recon_service.evaluation.model_people import ModelPeople, learned_on_them
from recon_service.evaluation.strengthening_walk import Walk

POLICY = load_policies()["pilot-strengthening-1"]
INFRARED = {"camera": "depth/kinect2", "selfies": "selfies-photometric/infrared"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_template_of_good_selfies_cannot_be_walked_to_the_nearest_of_many_people(seed: int) -> None:
    walk = Walk(ModelPeople(learned_on_them(load_calibration()), seed=seed), POLICY, candidates=30)
    after = walk.walked(steps=6, guards=True)
    assert len(after.visits) > 1, "something was let in: the attack is one"
    attacker, victim = walk.shares(after)
    assert attacker == 0
    assert victim >= 0.7
    assert not walk.matches(after, walk.people.seen(walk.people.mean(walk.attacker)))
    assert after.visits[0] is walk.template.visits[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_nor_one_of_poor_pictures_to_whoever_comes(seed: int) -> None:
    """Enrollments of 60 infrared pixels hardly tell people apart: the first visit has to hold."""
    walk = Walk(ModelPeople(load_calibration(), seed, **INFRARED), POLICY, candidates=1)
    after = walk.walked(steps=6, guards=True)
    assert walk.shares(after)[0] == 0


def test_without_the_guards_it_walks_to_anybody() -> None:
    """What shows that the tests above could fail."""
    walk = Walk(ModelPeople(load_calibration(), **INFRARED), POLICY, candidates=1)
    after = walk.walked(steps=40, guards=False)
    attacker, victim = walk.shares(after)
    assert attacker >= 0.8
    assert victim == 0

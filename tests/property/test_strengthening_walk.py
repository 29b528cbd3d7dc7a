"""Somebody who can show the kiosk any face tries to walk a template to his own, visit by visit.

He knows everything: the template, its visits, the calibration, the guards, and his own face without any
noise. Each time he shows the face farthest toward his own that is still let in, on the way from whichever
of what is kept brings him nearest. Shapes are linear in coefficients, so that a face between two people is
one between their coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.policies import load_policies
from recon_service.comparison.strengthening import Strengthening, objections, room_for
from recon_service.comparison.strengthening_parts import chosen_part, enrollment_part
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Template
from tests.model_people import ModelPeople

POLICY = load_policies()["pilot-strengthening-1"]
ASKED = POLICY.strengthening or Strengthening(0, 0, 0)
LetIn = Callable[[Template, IdentityPosterior], bool]
VISITS = 10


class Attack:
    """One victim with an enrollment and one visit, and an attacker."""

    def __init__(self, people: ModelPeople, *, candidates: int) -> None:
        self.people = people
        self.victim = people.person()
        template = people.template(self.victim)
        first = next(
            visit for visit in iter(lambda: people.visit(self.victim), None) if self.guarded(template, visit)
        )
        self.template = replace(template, visits=(people.kept(first, "first"),))
        target = people.mean(self.victim)[None]
        self.attacker = max(
            (people.person() for _ in range(candidates)),
            key=lambda who: float(people.depth(target, people.mean(who)[None])[0]),
        )

    def llr(self, template: Template, probe: IdentityPosterior) -> float:
        """As a verification computes it."""
        people = self.people
        part = chosen_part(template, people.kind, people.calibration)
        means = part.posterior.mean[None], probe.mean[None]
        return float(people.calibration.llr(part.kind, people.kind, *means)[0][0])

    def matches(self, template: Template, probe: IdentityPosterior) -> bool:
        return self.llr(template, probe) >= POLICY.match_above

    def guarded(self, template: Template, probe: IdentityPosterior) -> bool:
        offered = self.people.offered(probe, llr=self.llr(template, probe))
        return not objections(offered, template, self.people.calibration, ASKED)

    def walked(self, let_in: LetIn, *, steps: int, guarded: bool) -> Template:
        """The template after the attack. guarded: the first visit stays; else the oldest goes."""
        people, template = self.people, self.template
        goal = people.mean(self.attacker)
        for step in range(steps):
            kept = room_for(template.visits, most=ASKED.most_visits)
            kept = kept if guarded else template.visits[-ASKED.most_visits + 1 :]
            best: tuple[float, Template] | None = None
            for start in self._starts(template):
                shown = self._farthest(start, goal, lambda face, t=template: let_in(t, face))  # type: ignore[misc]
                if shown is not None:
                    after = replace(template, visits=(*kept, people.kept(shown, f"v{step}")))
                    reached = self.llr(after, people.seen(goal))
                    best = max((one for one in (best, (reached, after)) if one), key=lambda one: one[0])
            if best is None:
                break
            template = best[1]
        return template

    def shares(self, template: Template) -> tuple[float, float]:
        """Of the attacker's and of the victim's own visits that match."""
        return tuple(  # type: ignore[return-value]
            np.mean([self.matches(template, self.people.visit(who)) for _ in range(VISITS)])
            for who in (self.attacker, self.victim)
        )

    def _starts(self, template: Template) -> list[Array]:
        people = self.people
        enrolled = (
            enrollment_part(template).posterior.mean - people.mixed.centers[0] + people.mixed.centers[1]
        )
        together = chosen_part(template, people.kind, people.calibration).posterior.mean
        return [together, template.visits[0].posterior.mean, enrolled]

    def _farthest(
        self, start: Array, goal: Array, let_in: Callable[[IdentityPosterior], bool]
    ) -> IdentityPosterior | None:
        seen = self.people.seen
        if let_in(seen(goal)):
            return seen(goal)
        near, far = 0.0, 1.0
        for _ in range(5):
            middle = (near + far) / 2
            near, far = (middle, far) if let_in(seen(start + middle * (goal - start))) else (near, middle)
        return seen(start + near * (goal - start)) if near > 0 else None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_template_cannot_be_walked_to_the_nearest_of_many_people(seed: int) -> None:
    attack = Attack(ModelPeople(load_calibration(), seed=seed), candidates=30)
    after = attack.walked(attack.guarded, steps=6, guarded=True)
    assert len(after.visits) > 1, "something was let in: the attack is one"
    attacker, victim = attack.shares(after)
    assert attacker == 0
    assert victim >= 0.7
    assert not attack.matches(after, attack.people.seen(attack.people.mean(attack.attacker)))
    assert after.visits[0] is attack.template.visits[0]


def test_without_the_guards_it_walks_to_anybody() -> None:
    """What shows that the test above could fail."""
    attack = Attack(ModelPeople(load_calibration()), candidates=1)
    after = attack.walked(attack.matches, steps=80, guarded=False)
    attacker, victim = attack.shares(after)
    assert attacker >= 0.8
    assert victim == 0

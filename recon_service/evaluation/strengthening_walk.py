"""Somebody who can show the kiosk any face tries to walk a template to his own, visit by visit.

He knows everything: the template, its visits, the calibration, the guards, and his own face without any
noise. Each time he shows the face farthest toward his own that is still let in, on the way from whichever of
what is kept brings him nearest. Shapes are linear in coefficients, so that a face between two people is one
between their coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np

from recon_service.comparison.policy import Policy
from recon_service.comparison.strengthening import objections, room_for
from recon_service.comparison.strengthening_parts import chosen_part, enrollment_part
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Template
from recon_service.evaluation.model_people import ModelPeople

LetIn = Callable[[Template, IdentityPosterior], bool]
STEPS_OF_BISECTION = 5
MOST_TRIES = 200


class Walk:
    """One victim with an enrollment and a first visit, and the attacker, who of so many candidates is the
    most like the victim.
    """

    def __init__(self, people: ModelPeople, policy: Policy, *, candidates: int) -> None:
        if policy.strengthening is None:
            raise InvalidValue(f"the policy {policy.name} strengthens no template")
        self.people, self.policy, self.asked = people, policy, policy.strengthening
        self.victim = people.person()
        self.template = self._with_first_visit(people.template(self.victim))
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
        """All that an attacker has to reach where nothing guards the template."""
        return self.llr(template, probe) >= self.policy.match_above

    def guarded(self, template: Template, probe: IdentityPosterior) -> bool:
        """Whether the visit may be kept."""
        offered = self.people.offered(probe, llr=self.llr(template, probe))
        return not objections(offered, template, self.people.calibration, self.asked)

    def walked(self, *, steps: int, guards: bool) -> Template:
        """The template after so many visits of the attacker. Without guards whatever matches is kept, and the
        oldest visit goes.
        """
        people, template = self.people, self.template
        goal = people.seen(people.mean(self.attacker))
        for step in range(steps):
            found = [
                after
                for start in self._starts(template)
                if (after := self._step(template, start, goal, f"attack {step}", guards)) is not None
            ]
            if not found:
                break
            template = max(found, key=lambda after: self.llr(after, goal))
        return template

    def shares(self, template: Template, *, visits: int = 10) -> tuple[float, float]:
        """Of the attacker's and of the victim's own visits that match the template."""
        matched = [
            [self.matches(template, self.people.visit(who)) for _ in range(visits)]
            for who in (self.attacker, self.victim)
        ]
        return float(np.mean(matched[0])), float(np.mean(matched[1]))

    def _with_first_visit(self, template: Template) -> Template:
        for tries in count():
            visit = self.people.visit(self.victim)
            if self.guarded(template, visit):
                return replace(template, visits=(self.people.kept(visit, "first"),))
            if tries == MOST_TRIES:
                # An enrollment that errs so much never takes up a visit.
                self.victim = self.people.person()
                return self._with_first_visit(self.people.template(self.victim))
        raise AssertionError

    def _starts(self, template: Template) -> list[Array]:
        """From where the attacker may set out: all that is kept, the first visit, the enrollment."""
        people, (selfies, depth) = self.people, self.people.mixed.centers
        enrolled = enrollment_part(template).posterior.mean - selfies + depth
        together = chosen_part(template, people.kind, people.calibration).posterior.mean
        return [together, template.visits[0].posterior.mean, enrolled]

    def _step(
        self, template: Template, start: Array, goal: IdentityPosterior, name: str, guards: bool
    ) -> Template | None:
        let_in: LetIn = self.guarded if guards else self.matches
        near, far = (1.0, 1.0) if let_in(template, goal) else (0.0, 1.0)
        for _ in range(STEPS_OF_BISECTION if far > near else 0):
            middle = (near + far) / 2
            shown = self.people.seen(start + middle * (goal.mean - start))
            near, far = (middle, far) if let_in(template, shown) else (near, middle)
        if near == 0.0:
            return None
        most = self.asked.most_visits
        kept = room_for(template.visits, most=most) if guards else template.visits[-most + 1 :]
        shown = self.people.seen(start + near * (goal.mean - start))
        return replace(template, visits=(*kept, self.people.kept(shown, name)))

"""What a visit must show to be added to a template, and what a template is compared by afterwards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.policies import load_policies
from recon_service.comparison.strengthening import (
    CAMERA,
    DRIFT,
    ENROLLMENT,
    FEW_FRAMES,
    LIVENESS,
    NOT_STRONG,
    VISITS,
    Offered,
    Strengthening,
    entropy_gain,
    objections,
    room_for,
)
from recon_service.comparison.strengthening_parts import FIRST, chosen_part, depth_part
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Template
from recon_service.evaluation.model_people import ModelPeople, learned_on_them

POLICY = load_policies()["pilot-strengthening-1"]
ASKED = POLICY.strengthening or Strengthening(0, 0, 0)


@pytest.fixture
def people() -> ModelPeople:
    return ModelPeople(learned_on_them(load_calibration()))


def admitted(people: ModelPeople, ada: Array, template: Template) -> IdentityPosterior:
    """A visit that may be kept: most may, not all."""
    for _ in range(50):
        posterior = people.visit(ada)
        if not found(people, posterior, template):
            return posterior
    raise AssertionError("no visit of the person may be kept")


def found(people: ModelPeople, posterior: IdentityPosterior, template: Template) -> tuple[str, ...]:
    return objections(people.offered(posterior), template, people.calibration, ASKED)


def test_most_visits_of_the_person_may_be_kept_and_none_of_others(people: ModelPeople) -> None:
    kept = total = 0
    for _ in range(12):
        ada, bob = people.person(), people.person()
        template = people.template(ada)
        template = replace(template, visits=(people.kept(admitted(people, ada, template), "v1"),))
        for _ in range(5):
            kept += not found(people, people.visit(ada), template)
            total += 1
        assert {ENROLLMENT, VISITS, DRIFT} <= set(found(people, people.visit(bob), template))
    assert kept / total > 0.6


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"llr": ASKED.strong_above - 0.01}, NOT_STRONG),
        ({"frames": ASKED.least_frames - 1}, FEW_FRAMES),
        ({"bona_fide": 0.49}, LIVENESS),
        ({"bona_fide": None}, LIVENESS),
        ({"camera": "depth/unknown"}, CAMERA),
    ],
)
def test_each_guard_holds_alone(
    people: ModelPeople, change: dict[str, float | str | None], objection: str
) -> None:
    ada = people.person()
    template = people.template(ada)
    posterior = admitted(people, ada, template)
    offered = people.offered(posterior, **change)  # type: ignore[arg-type]
    assert objection in objections(offered, template, people.calibration, ASKED)


def test_a_confirmation_lowers_the_score_and_nothing_else(people: ModelPeople) -> None:
    ada, bob = people.person(), people.person()
    template = people.template(ada)
    posterior = admitted(people, ada, template)

    def said(asked: Strengthening, **what: float | bool) -> tuple[str, ...]:
        offered = people.offered(posterior, confirmed=True, **what)  # type: ignore[arg-type]
        return objections(offered, template, people.calibration, asked)

    assert said(ASKED, llr=1.1) == ()
    assert said(ASKED, llr=0.9) == (NOT_STRONG,)
    assert said(ASKED, llr=1.1, bona_fide=0.4) == (LIVENESS,)
    assert said(replace(ASKED, confirmed_above=None), llr=1.1) == (NOT_STRONG,)
    thief = people.offered(people.visit(bob), confirmed=True)
    assert ENROLLMENT in objections(thief, template, people.calibration, ASKED)
    seen = replace(template, visits=(people.kept(posterior, "v1"),))
    assert VISITS in objections(thief, seen, people.calibration, ASKED)


def test_from_the_second_visit_on_depth_is_compared_with_depth(people: ModelPeople) -> None:
    """And tells people apart better: no map is needed to see it."""
    ada = people.person()
    template = people.template(ada)
    assert chosen_part(template, people.kind, people.calibration).kind.source == people.selfies
    first = people.kept(people.visit(ada), "v1")
    part = chosen_part(replace(template, visits=(first,)), people.kind, people.calibration)
    assert part.kind == people.kind
    assert part.posterior is first.posterior


def test_what_only_card_and_pin_vouched_for_counts_from_the_second_time_on(people: ModelPeople) -> None:
    ada = people.person()
    template = people.template(ada)
    visits = tuple(people.kept(people.visit(ada), f"v{n}", confirmed=True) for n in range(2))
    for count, source in ((1, people.selfies), (2, people.camera)):
        strengthened = replace(template, visits=visits[:count])
        assert chosen_part(strengthened, people.kind, people.calibration).kind.source == source
    strong = replace(template, visits=(replace(visits[0], confirmed=False),))
    assert chosen_part(strong, people.kind, people.calibration).kind.source == people.camera


def test_another_camera_is_compared_with_what_its_calibration_knows(people: ModelPeople) -> None:
    ada = people.person()
    template = replace(people.template(ada), visits=(people.kept(people.visit(ada), "v1"),))
    other = EvidenceKind.depth("simulated-stereo", 3)
    assert chosen_part(template, other, people.calibration).kind.source == people.selfies


def test_visits_of_another_fit_are_left_alone(people: ModelPeople) -> None:
    ada = people.person()
    old = replace(people.kept(people.visit(ada), "v1"), calibration="ancient@00")
    template = replace(people.template(ada), visits=(old,))
    assert chosen_part(template, people.kind, people.calibration).kind.source == people.selfies


def test_several_visits_are_their_weighted_mean(people: ModelPeople) -> None:
    ada = people.person()
    visits = [people.kept(people.visit(ada), f"v{n}") for n in range(3)]
    part = depth_part(visits)
    means = [visit.posterior.mean for visit in visits]
    np.testing.assert_allclose(
        part.posterior.mean, FIRST * means[0] + (1 - FIRST) * (means[1] + means[2]) / 2, atol=1e-6
    )
    np.testing.assert_allclose(part.posterior.covariance, visits[0].posterior.covariance, atol=1e-8)
    assert part.kind == people.kind
    many = [
        replace(
            visit,
            captures=9,
            posterior=IdentityPosterior.from_evidence(
                visit.posterior.space, *(3 * part for part in visit.posterior.evidence())
            ),
        )
        for visit in visits
    ]
    np.testing.assert_allclose(depth_part(many).posterior.mean, part.posterior.mean, atol=1e-6)
    with pytest.raises(InvalidValue):
        depth_part([])
    with pytest.raises(InvalidValue):
        depth_part([visits[0], replace(visits[1], source="depth/other")])


def test_a_further_visit_adds_less_than_the_one_before(people: ModelPeople) -> None:
    ada = people.person()
    template, gains = people.template(ada), []
    for number in range(4):
        offered: Offered = people.offered(people.visit(ada))
        gains.append(entropy_gain(offered, template, people.calibration))
        kept = people.kept(offered.posterior, f"v{number}")
        template = replace(template, visits=(*template.visits, kept))
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] > 0


def test_the_first_visit_before_each_camera_stays(people: ModelPeople) -> None:
    seen = people.visit(people.person())

    def visits(*names: str) -> tuple[DepthVisit, ...]:
        return tuple(people.kept(seen, name, camera=f"depth/{name[0]}") for name in names)

    def left(most: int, *names: str) -> list[str]:
        return [visit.visit_id for visit in room_for(visits(*names), most=most)]

    assert left(4, "a1", "a2", "a3") == ["a1", "a2", "a3"]
    assert left(4, "a1", "a2", "a3", "a4") == ["a1", "a3", "a4"]
    assert left(4, "a1", "b1", "a2", "b2") == ["a1", "b1", "b2"]
    assert left(2, "a1", "b1") == ["b1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"strong_above": 2.9},
        {"most_drift": 0.0},
        {"most_drift": float("nan")},
        {"least_bona_fide": 0.4},
        {"least_frames": 0},
        {"most_visits": 1},
    ],
)
def test_a_strengthening_that_asks_for_little_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValue):
        replace(ASKED, **wrong)  # type: ignore[arg-type]


def test_no_policy_strengthens_below_its_match_and_only_one_does_at_all() -> None:
    policies = load_policies()
    assert [name for name, policy in policies.items() if policy.strengthening] == ["pilot-strengthening-1"]
    with pytest.raises(InvalidValue, match="where it matches"):
        replace(POLICY, match_above=3.5)

"""Whether selfies show one person: grouping, appearance, and the skin of the two portraits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.application.computing.consistency import (
    NOT_ONE_PERSON,
    STRANGER,
    Grouping,
    by_appearance,
    grouping,
)
from recon_service.application.computing.enroll import EnrollmentResult, enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import APPEARANCE_OFF, ModelChoice, build_pipeline
from recon_service.comparison.appearance import AppearanceMap, AppearanceMaps
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.appearance import Appearance, Light
from tests.images import brightened, encoded, portrait, rotated

VISIBLE = frozenset({Light.VISIBLE})
MAPS = AppearanceMaps("test", {("net", "1", VISIBLE): AppearanceMap(ScoreMap(10.0, -4.0))})
"""Even odds at a cosine of 0.4."""


@given(st.lists(st.integers(0, 2), min_size=1, max_size=8), st.randoms())
def test_groups_are_the_people_whatever_the_order_of_questions(people: list[int], random: object) -> None:
    first = [(a, b) for a in range(len(people)) for b in range(a)]
    random.shuffle(first)  # type: ignore[attr-defined]
    found = grouping(len(people), lambda a, b: people[a] == people[b], first=first)
    assert sorted((*found.together, *found.apart)) == list(range(len(people)))
    (person,) = {people[k] for k in found.together}
    assert all(people[k] != person for k in found.apart)
    assert len(found.together) == max(people.count(p) for p in people)


def test_agreement_is_passed_on_and_the_undecided_stay() -> None:
    chain = {(0, 1): True, (1, 2): True, (0, 2): False, (0, 3): None, (1, 3): None, (2, 3): None}
    assert grouping(4, lambda a, b: chain[a, b]) == Grouping((0, 1, 2, 3))
    assert grouping(3, lambda a, b: None) == Grouping((0, 1, 2))


@pytest.mark.parametrize(
    ("together", "apart", "majority", "mendable", "code"),
    [
        ((0,), (1,), False, False, NOT_ONE_PERSON),
        ((0, 1), (2, 3), False, False, NOT_ONE_PERSON),
        ((0, 2), (1,), True, False, STRANGER),
        ((0, 1, 3), (2,), True, True, STRANGER),
        ((0, 1, 2), (3, 4, 5), False, False, NOT_ONE_PERSON),
    ],
)
def test_a_majority_speaks_and_three_are_enough(
    together: tuple[int, ...], apart: tuple[int, ...], majority: bool, mendable: bool, code: str
) -> None:
    found = Grouping(together, apart)
    assert (found.majority, found.mendable, found.doubt()[0]) == (majority, mendable, code)
    if majority:
        assert found.doubt()[1].startswith(f"Selfie {apart[0] + 1} ")


def seen(*directions: float, light: Light = Light.VISIBLE, version: str = "1") -> list[Appearance | None]:
    return [
        Appearance.of(
            np.array([[np.cos(angle), np.sin(angle)]]), embedder="net", version=version, light=light
        )
        for angle in np.deg2rad(directions)
    ]


def test_appearance_groups_by_likelier_one_than_two() -> None:
    assert by_appearance(seen(0, 20, 40, 180), MAPS) == Grouping((0, 1, 2), (3,))
    assert by_appearance(seen(0, 60, 120), MAPS) == Grouping((0, 1, 2)), "cosines 0.5, 0.5 and -0.5"


def test_what_no_map_was_learned_for_is_not_judged() -> None:
    assert by_appearance(seen(0, 180, version="2"), MAPS) == Grouping((0, 1))
    assert by_appearance([*seen(0), *seen(180, light=Light.INFRARED)], MAPS) == Grouping((0, 1))
    assert by_appearance([None, None, None], MAPS) == Grouping((0, 1, 2))


# ---- the portraits


def taken(name: str, *, cut: int = 0, turn: float = 0.0, gain: float = 1.0) -> bytes:
    """Another picture of the person: moved, turned, in other light."""
    pixels = brightened(rotated(portrait(name), turn), gain)
    return encoded(np.ascontiguousarray(pixels[cut // 2 :, cut:]), "JPEG", quality=88)


OWN = (
    taken("astronaut"),
    taken("astronaut", cut=20, gain=0.85),
    taken("astronaut", turn=4),
    taken("astronaut", cut=30, turn=-3, gain=1.1),
)
OTHER = taken("grace_hopper")


@pytest.fixture(scope="module")
def by_skin_alone() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN, appearance=APPEARANCE_OFF)


@pytest.fixture(scope="module", params=["skin", "appearance"])
def pipeline(request: pytest.FixtureRequest, by_skin_alone: FacePipeline) -> FacePipeline:
    if request.param == "skin":
        return by_skin_alone
    request.getfixturevalue("weights_mirror")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
        return build_pipeline(ModelChoice.BUILTIN, appearance="edgeface-xs")


def codes(result: EnrollmentResult) -> Sequence[str | None]:
    return [s.problem.code if s.problem is not None else None for s in result.selfies]


def test_pictures_of_one_person_are_all_used(pipeline: FacePipeline) -> None:
    result = enroll(OWN, pipeline)
    assert result.fit is not None
    assert codes(result) == [None] * 4


def test_a_stranger_among_enough_others_is_left_out(pipeline: FacePipeline) -> None:
    result = enroll([*OWN[:2], OTHER, *OWN[2:]], pipeline)
    assert codes(result) == [None, None, STRANGER, None, None]
    assert [s.accepted for s in result.selfies] == [True, True, False, True, True]
    alone = enroll(OWN, pipeline)
    assert result.fit is not None
    assert alone.fit is not None
    np.testing.assert_array_equal(result.fit.posterior.mean, alone.fit.posterior.mean)
    if pipeline.embedder is not None:
        assert result.appearance is not None
        assert result.appearance.count == 4


def test_among_too_few_others_the_enrollment_ends_and_names_the_stranger(pipeline: FacePipeline) -> None:
    result = enroll([*OWN[:2], OTHER], pipeline)
    assert result.fit is None
    ((code, hint),) = result.doubts
    assert code == STRANGER
    assert hint.startswith("Selfie 3 ")


def test_of_two_people_nobody_can_say_who_is_meant(pipeline: FacePipeline) -> None:
    result = enroll([OWN[0], OTHER], pipeline)
    assert result.fit is None
    assert [code for code, _ in result.doubts] == [NOT_ONE_PERSON]
    assert codes(result) == [None, None]

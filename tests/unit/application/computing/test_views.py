from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.enroll import Selfie, enroll
from recon_service.application.computing.views import tell_the_shape, widest_turn, with_advice
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.domain.pose import HeadPose
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

GOOD = QualityReport(())


def turned(*yaws: float, pitch: float = 0.0, roll: float = 0.0) -> list[HeadPose]:
    away = np.array([0.0, 0.0, 500.0])
    return [HeadPose.from_angles(yaw=y, pitch=pitch, roll=roll, translation=away) for y in yaws]


def reports(*yaws: float) -> list[QualityReport]:
    return [QualityReport((QualityMeasure("yaw", yaw, "degrees", 90.0, Verdict.GOOD),)) for yaw in yaws]


@pytest.mark.parametrize(("yaws", "turn"), [((), 0), ((7.0,), 0), ((-10.0, 3.0, 12.0), 22), ((5.0, 5.0), 0)])
def test_the_two_that_look_in_the_most_different_directions_count(
    yaws: tuple[float, ...], turn: float
) -> None:
    assert widest_turn(turned(*yaws)) == pytest.approx(turn, abs=1e-5)


def test_a_tilted_head_shows_no_other_side_and_a_nod_does() -> None:
    assert widest_turn([*turned(0.0), *turned(0.0, roll=30.0)]) == pytest.approx(0.0, abs=1e-5)
    assert widest_turn([*turned(0.0), *turned(0.0, pitch=18.0)]) == pytest.approx(18.0)
    assert tell_the_shape([*turned(0.0), *turned(0.0, pitch=18.0)])


def test_advice_is_given_where_there_are_too_few_sides_or_pictures_and_rejects_nothing() -> None:
    for enough in (reports(-20.0, 0.0, 20.0), reports(0.0)):
        assert with_advice(GOOD, enough) is GOOD
    for together in (reports(-20.0, 20.0), reports(-8.0, 0.0, 8.0)):
        advised = with_advice(GOOD, together)
        (measure,) = advised.measures
        assert (measure.name, measure.code, measure.advice) == ("views", "too-few-views", True)
        assert advised.hints == (measure.hint,)
        assert advised.accepted
        assert (advised.score, advised.unified) == (GOOD.score, GOOD.unified)
    assert with_advice(GOOD, reports(-8.0, 0.0, 8.0)).measures[0].score == pytest.approx(100 * 16 / 45)


def test_three_pictures_of_one_view_are_told_by_their_landmarks(weights_mirror: Path) -> None:
    """Matched, they would make a template that refuses its own person."""
    person = SyntheticPopulation(PopulationSpec(seed=77)).subject(0)
    pipeline = build_pipeline(ModelChoice.DENSE)
    one_view, sides = (
        enroll([p.content for p in person.photographs(3, yaws=yaws)], pipeline)
        for yaws in ((0.0, 0.0, 0.0), (0.0, -30.0, 30.0))
    )
    assert one_view.source == "facemesh468/visible"
    assert sides.source == "selfies-photometric/visible"
    assert [_advised(one_view.selfies), _advised(sides.selfies)] == [[True] * 3, [False] * 3]
    assert len(one_view.used) == len(sides.used) == 3


def _advised(selfies: tuple[Selfie, ...]) -> list[bool]:
    return [s.quality is not None and "views" in [m.name for m in s.quality.measures] for s in selfies]

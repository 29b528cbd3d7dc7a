from __future__ import annotations

import numpy as np
import pytest

from recon_service.comparison.appearance import load_appearance_maps
from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.appearance_scores import appearance_scores, cosines, led_by_appearance
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.scores import Calibration, Scored, Sides

PEOPLE, TAKES = 9, 3
MAPS = load_calibration().appearance.over(load_appearance_maps())


def looks(rng: np.random.Generator, center: np.ndarray) -> Appearance:
    vector = center + 0.6 * rng.normal(size=512) / np.sqrt(512)
    vector = vector / np.linalg.norm(vector)
    return Appearance.of(
        vector[None], embedder="edgeface-xs", version="e67569ad96d023dc", light=Light.INFRARED
    )


def side(seed: int, *, missing: tuple[int, ...] = ()) -> Observed:
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).normal(size=(PEOPLE, 512)) / np.sqrt(512)
    people = [person for person in range(PEOPLE) for _ in range(TAKES)]
    found = [looks(rng, centers[person]) for person in people]
    return Observed.of(
        [f"p{person}" for person in people],
        [IdentityPosterior("test", rng.normal(size=3), np.eye(3)) for _ in people],
        [EvidenceKind.depth("test", 1)] * len(people),
        None,
        [None if n in missing else one for n, one in enumerate(found)],
    )


@pytest.fixture
def sides() -> Sides:
    first, second = side(1), side(2, missing=(4,))
    reference, probe = (x.ravel() for x in np.indices((len(first), len(second))))
    return Sides(first, second, Comparisons(reference, probe), None, False)  # type: ignore[arg-type]


def test_cosines_are_those_of_the_vectors_and_missing_ones_are_not_invented(sides: Sides) -> None:
    values = cosines(sides.references, sides.probes, sides.pairs)
    assert values is not None
    assert (np.isnan(values) == (sides.pairs.probe == 4)).all()
    a, b = sides.references.appearance, sides.probes.appearance
    assert a is not None
    assert b is not None
    assert values[5] == pytest.approx(a[0] @ b[5])


def test_fused_ratios_are_sums_and_a_missing_appearance_counts_as_nothing(sides: Sides) -> None:
    shape = np.random.default_rng(3).normal(size=len(sides.pairs))
    given = [
        Scored("llr", Calibration.RELEASED, shape, is_llr=True),
        Scored("learned-llr", Calibration.CROSS_VALIDATED, shape, is_llr=True),
    ]
    found = {(s.name, s.calibration): s for s in appearance_scores(sides, given, MAPS, cross_validate=True)}
    for origin in (Calibration.RELEASED, Calibration.CROSS_VALIDATED):
        alone, fused = found["appearance-llr", origin].values, found["fused-llr", origin].values
        assert alone is not None
        assert fused is not None
        np.testing.assert_allclose(fused, shape + alone)
        assert not alone[sides.pairs.probe == 4].any()
        genuine = sides.references.person[sides.pairs.reference] == sides.probes.person[sides.pairs.probe]
        present = sides.pairs.probe != 4
        assert alone[genuine & present].mean() > 0 > alone[~genuine & present].mean()


def test_a_row_without_appearance_has_no_such_scores() -> None:
    bare = side(1, missing=tuple(range(PEOPLE * TAKES)))
    pairs = Comparisons(np.array([0]), np.array([1]))
    assert not list(
        appearance_scores(Sides(bare, bare, pairs, None, True), [], MAPS, cross_validate=True)  # type: ignore[arg-type]
    )


def test_the_fused_score_leads_where_a_row_is_about_it(sides: Sides) -> None:
    shape = Scored("llr", Calibration.RELEASED, np.zeros(len(sides.pairs)), is_llr=True)
    found = [shape, *appearance_scores(sides, [shape], MAPS, cross_validate=False)]
    led = led_by_appearance(found, cross_validate=False)
    assert led[0].name == "fused-llr"
    assert sorted(one.name for one in led) == sorted(one.name for one in found)


def test_a_row_that_cannot_be_fused_says_so_first() -> None:
    shape = Scored("llr", Calibration.RELEASED, np.zeros(3), is_llr=True)
    led = led_by_appearance([shape], cross_validate=False)
    assert (led[0].name, led[0].values) == ("fused-llr", None)
    assert "recon weights list" in led[0].refused
    assert led[1:] == [shape]

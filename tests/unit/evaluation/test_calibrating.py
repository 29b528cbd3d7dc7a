"""Calibrations learned from simulated observations of two cameras."""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.calibrating import learned_calibration, learned_general, measured
from recon_service.evaluation.comparisons import Observed
from recon_service.evaluation.material import Material, material
from recon_service.evaluation.metrics import cllr
from recon_service.evaluation.pair_learning import (
    cross_fitted_map,
    learned_pair,
    learned_score,
    learning_pairs,
)
from recon_service.evaluation.split import MAX_FOLDS

K = 6
PEOPLE, EACH = 8, 3
DEPTH, PICTURES = "depth", "selfies-photometric"


def side(
    rng: np.random.Generator, identities: Array, kind: EvidenceKind, *, offset: float, sd: float
) -> Observed:
    """Every person ``EACH`` times, in as many groups."""
    names, posteriors, groups = [], [], []
    for number, identity in enumerate(identities):
        for take in range(EACH):
            information = np.eye(K) / sd**2
            seen = IdentityPosterior.from_evidence(
                "test/1", information, information @ (identity + sd * rng.standard_normal(K))
            )
            posteriors.append(IdentityPosterior("test/1", seen.mean + offset, seen.covariance))
            names.append(f"p{number}")
            groups.append(frozenset({f"pose {take}"}))
    return Observed.of(names, posteriors, [kind] * len(names), groups)


def materials(camera: str, light: str, seed: int, *, offset: float = 0.7) -> list[Material]:
    rng = np.random.default_rng(seed)
    identities = rng.standard_normal((PEOPLE, K))
    depth = side(rng, identities, EvidenceKind(DEPTH, camera, 1), offset=offset, sd=0.3)
    pictures = side(rng, identities, EvidenceKind(PICTURES, light, 1), offset=-offset, sd=0.6)
    return [material(camera, depth, depth, (1, 1)), material(camera, pictures, depth, (1, 1))]


@pytest.fixture(scope="module")
def learned() -> Calibration:
    both = [*materials("first", "visible", 0), *materials("second", "infrared", 1, offset=-1.0)]
    return learned_calibration(both, name="c", space="test/1")


def test_every_pair_and_a_general_one_for_unknown_origins(learned: Calibration) -> None:
    assert {(str(a), str(b)) for a, b in learned.pairs} == {
        ("depth/first/1", "depth/first/1"),
        ("selfies-photometric/visible/1", "depth/first/1"),
        ("depth/second/1", "depth/second/1"),
        ("selfies-photometric/infrared/1", "depth/second/1"),
        ("depth/generic/1", "depth/generic/1"),
        ("selfies-photometric/generic/1", "depth/generic/1"),
    }
    for (first, second), pair in learned.pairs.items():
        assert (pair.measured is None) == ("generic" in first.source + second.source)


def test_what_is_learned_tells_new_people_apart_and_is_calibrated(learned: Calibration) -> None:
    depth, crossed = materials("first", "visible", 7)
    for one in (depth, crossed):
        pairs = learning_pairs(one.first, one.second)
        ratios, found = learned.llr(*one.kinds, one.first.mean[pairs.reference], one.second.mean[pairs.probe])
        same = one.first.person[pairs.reference] == one.second.person[pairs.probe]
        assert not found.general
        cost = np.logaddexp(0, -ratios[same]).mean() + np.logaddexp(0, ratios[~same]).mean()
        assert cost / (2 * np.log(2)) < 0.8
        assert ratios[same].mean() > 0.3 > -0.3 > ratios[~same].mean()


def test_a_general_pair_still_tells_people_apart_and_knows_less(learned: Calibration) -> None:
    depth, _ = materials("first", "visible", 7)
    pairs = learning_pairs(depth.first, depth.second)
    arrays = depth.first.mean[pairs.reference], depth.second.mean[pairs.probe]
    same = depth.first.person[pairs.reference] == depth.second.person[pairs.probe]
    unknown = EvidenceKind(DEPTH, "third", 1)
    careful, found = learned.llr(unknown, unknown, *arrays)
    known, _ = learned.llr(*depth.kinds, *arrays)
    assert found.general
    assert cllr(known[same], known[~same]) < cllr(careful[same], careful[~same]) < 1


def test_a_single_dataset_says_half_of_other_cameras() -> None:
    depth, _ = materials("first", "visible", 0)
    known = learned_pair(depth.first, depth.second, one_kind=True, folds=MAX_FOLDS).score_map
    other = learned_general([depth]).score_map
    assert (other.slope, other.offset) == (known.slope / 2, known.offset / 2)


def test_two_datasets_of_one_camera_are_refused() -> None:
    with pytest.raises(InvalidValue, match="two datasets"):
        learned_calibration(
            [*materials("first", "visible", 0), *materials("first", "visible", 1)], name="c", space="test/1"
        )


def test_the_figures_count_pairs_of_people() -> None:
    depth, _ = materials("first", "visible", 0)
    found = measured(depth)
    assert (found.people, found.pairs) == (PEOPLE, PEOPLE * (PEOPLE - 1) // 2)
    assert found.genuine == PEOPLE * EACH * (EACH - 1), "no observation against its own group"
    false, missed = np.array(found.false_matches), np.array(found.false_non_matches)
    assert (np.diff(false) <= 0).all()
    assert (np.diff(missed) >= 0).all()
    assert false[0] <= found.pairs
    assert found.min_cllr <= found.cllr


def test_samples_that_were_observed_in_another_way_are_left_out() -> None:
    rng = np.random.default_rng(3)
    identities = rng.standard_normal((PEOPLE, K))
    most = side(rng, identities, EvidenceKind(PICTURES, "visible", 5), offset=0.0, sd=0.5)
    few = side(rng, identities[:2], EvidenceKind("facemesh468", "visible", 5), offset=0.0, sd=0.5)
    mixed = Observed.joined(most, few)
    one = material("d", mixed, mixed, (5, 5))
    assert len(one.first) == len(most)
    assert [str(kind) for kind in one.kinds] == ["selfies-photometric/visible/5"] * 2


def test_too_few_people_are_refused() -> None:
    rng = np.random.default_rng(3)
    kind = EvidenceKind(DEPTH, "first", 1)
    for people in (1, 4):
        few = side(rng, rng.standard_normal((people, K)), kind, offset=0.0, sd=0.5)
        with pytest.raises(InvalidValue):
            learned_score(few.take(np.arange(3)), few.take(np.arange(3)), one_kind=False)
        with pytest.raises(InvalidValue):
            cross_fitted_map(few, few, one_kind=True, folds=4)


def test_the_map_mends_a_model_that_is_too_sure(learned: Calibration) -> None:
    for pair in learned.pairs.values():
        if pair.measured is not None:
            assert pair.measured.cllr_before is not None
            assert pair.measured.min_cllr <= pair.measured.cllr <= pair.measured.cllr_before + 0.05

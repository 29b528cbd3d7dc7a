from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.scores import Sides, scores
from recon_service.evaluation.split import SubjectSplit
from tests.people import all_pairs, observed, plain_calibration


@pytest.mark.parametrize("folds", [12, 4])
def test_learning_sees_other_people_only_and_scoring_the_compared_only(folds: int) -> None:
    side = observed(np.random.default_rng(0), people=12, each=3)
    split = SubjectSplit.of(list(side.person), folds=folds)
    pairs = all_pairs(side)

    def learn(first: Observed, second: Observed) -> set[str]:
        assert set(first.person) == set(second.person)
        return set(first.person.tolist())

    def score(learned: set[str], first: Observed, second: Observed, here: Comparisons) -> Array:
        compared = {*first.person[here.reference].tolist(), *second.person[here.probe].tolist()}
        assert learned
        assert learned.isdisjoint({*first.person.tolist(), *second.person.tolist()})
        assert compared <= {*first.person.tolist(), *second.person.tolist()}
        # The right rows arrive: their means identify them.
        return np.asarray(first.mean[here.reference, 0] - second.mean[here.probe, 0])

    found = split.scored(side, side, pairs, learn=learn, score=score)
    np.testing.assert_array_equal(found, side.mean[pairs.reference, 0] - side.mean[pairs.probe, 0])


@pytest.mark.parametrize("one_kind", [True, False])
def test_an_outlier_of_the_people_compared_does_not_change_their_score(one_kind: bool) -> None:
    side = observed(np.random.default_rng(3), people=7, each=4)
    pairs = all_pairs(side)
    poisoned = replace(side, mean=side.mean.copy())
    of_two = np.isin(side.person, ("p1", "p4"))
    # The last observation of each of the two people goes mad.
    mad = np.array([np.flatnonzero(side.person == name)[-1] for name in ("p1", "p4")])
    poisoned.mean[mad] += 1e6

    def scored(one: Observed) -> dict[str, Array | None]:
        sides = Sides(one, one, pairs, plain_calibration(), one_kind)
        return {s.name: s.values for s in scores(sides, cross_validate=True)}

    before, after = scored(side), scored(poisoned)
    ends = side.person[pairs.reference], side.person[pairs.probe]
    both = of_two[pairs.reference] & of_two[pairs.probe] & (ends[0] != ends[1])
    untouched = both & ~np.isin(pairs.reference, mad) & ~np.isin(pairs.probe, mad)
    others = ~of_two[pairs.reference] & ~of_two[pairs.probe]
    assert untouched.any()
    for name in ("learned-llr", "whitened-cosine"):
        first, second = before[name], after[name]
        assert first is not None
        assert second is not None
        np.testing.assert_array_equal(first[untouched], second[untouched])
        # The test can fail: what others' scores learn from the two people does change.
        assert not np.allclose(first[others], second[others])


def test_too_few_people_are_refused_with_the_reason() -> None:
    with pytest.raises(InvalidValue, match="7 at least"):
        SubjectSplit.of(list("abcdef"))
    side = observed(np.random.default_rng(0), people=6, each=3)
    found = list(scores(Sides(side, side, all_pairs(side), plain_calibration(), True), cross_validate=True))
    refused = {s.name: s.refused for s in found if s.values is None}
    assert refused.keys() == {"learned-llr", "whitened-cosine"}
    assert all("too few" in reason for reason in refused.values())


def test_folds_hold_everybody_once() -> None:
    split = SubjectSplit.of([f"p{n:03d}" for n in range(40)] * 2)
    assert len(split.folds) == 12
    assert sorted(name for fold in split.folds for name in fold) == [f"p{n:03d}" for n in range(40)]
    with pytest.raises(InvalidValue):
        SubjectSplit((frozenset("ab"), frozenset("bc"), frozenset("defg")))

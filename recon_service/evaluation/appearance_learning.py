"""Learn what the cosine of two appearances is worth, and how shape and appearance do together.

Nothing but slope, offset and doubt of one map is learned of a network and a pair of lights. Few people are
separated almost perfectly by it, in recordings of one session; the map is drawn toward no evidence by a share
that stays useful where pictures are poorer than those that it was learned from (docs/appearance.md).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from recon_service.comparison.appearance import AppearanceKey, AppearanceMap, AppearanceMaps
from recon_service.comparison.calibration import FusedMeasured
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.appearance import Light
from recon_service.domain.arrays import Array
from recon_service.evaluation.appearance_scores import learned_appearance_map, mapped_cosines
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.material import Material, parts_of
from recon_service.evaluation.measuring import measured_of
from recon_service.evaluation.pair_learning import learning_pairs, some_of_each
from recon_service.evaluation.split import SubjectSplit

SHRINKAGE = 0.5
"""Share of the learned slope and offset that is kept: `benchmarks/appearance_choices.py`."""

ShapeScores = Callable[[Material, Observed, Observed, Comparisons], Array]
"""(m,) cross-validated log-likelihood ratios of the shapes of the pairs."""


def shrunk(learned: ScoreMap, share: float = SHRINKAGE) -> ScoreMap:
    """The map drawn toward no evidence: slope and offset times ``share``; the bound stays."""
    return replace(learned, slope=share * learned.slope, offset=share * learned.offset)


def with_looks(one: Material) -> tuple[AppearanceKey, Material] | None:
    """Network and lights of a material, and those of its observations that were made so; None where a side
    has no appearance or the sides have different networks.
    """
    sides, looks = [], []
    for side in (one.first, one.second):
        known = Counter(look for look in side.looks if look)
        if not known:
            return None
        look, _ = known.most_common(1)[0]
        sides.append(side.take(np.array([own == look for own in side.looks])))
        looks.append(look.split("/"))
    if looks[0][:2] != looks[1][:2]:
        return None
    embedder, version = looks[0][:2]
    key = (embedder, version, frozenset(Light(look[2]) for look in looks))
    return key, replace(one, first=sides[0], second=sides[1])


def learned_appearance(
    materials: Sequence[Material], shape: ShapeScores, *, name: str, shrinkage: float = SHRINKAGE
) -> tuple[AppearanceMaps, tuple[FusedMeasured, ...]]:
    """A map for every network and pair of lights, from the material with the fewest captures (single
    pictures are the hardest, and the most); and how shape and appearance do together for every material.
    """
    by_look: dict[AppearanceKey, list[Material]] = defaultdict(list)
    for one in materials:
        if (found := with_looks(one)) is not None:
            by_look[found[0]].append(found[1])
    maps: dict[AppearanceKey, AppearanceMap] = {}
    fused: list[FusedMeasured] = []
    for key, seen in sorted(by_look.items(), key=lambda item: (item[0][:2], sorted(item[0][2]))):
        basis = min(seen, key=lambda m: (m.kinds[0].captures + m.kinds[1].captures, -len(m.first)))
        learned = learned_appearance_map(basis.first, basis.second)
        first, second, pairs = _pairs(basis)
        alone = _cross_validated(basis, first, second, pairs, shrinkage)
        maps[key] = AppearanceMap(
            shrunk(learned, shrinkage),
            measured=measured_of(basis.dataset, first, second, pairs, alone),
            shrinkage=shrinkage,
        )
        for one in seen:
            first, second, pairs = _pairs(one)
            values = shape(one, first, second, pairs)
            values = values + _cross_validated(one, first, second, pairs, shrinkage)
            figures = measured_of(one.dataset, first, second, pairs, values)
            fused.append(FusedMeasured(one.kinds, *key, figures))
    return AppearanceMaps(name if maps else "none", maps), tuple(fused)


def _pairs(one: Material) -> tuple[Observed, Observed, Comparisons]:
    first, second = some_of_each(one.first), some_of_each(one.second)
    return first, second, learning_pairs(first, second)


def _cross_validated(
    one: Material, first: Observed, second: Observed, pairs: Comparisons, shrinkage: float
) -> Array:
    split = SubjectSplit.of([*first.person, *second.person], folds=parts_of(one))
    return split.scored(
        first,
        second,
        pairs,
        learn=lambda a, b: shrunk(learned_appearance_map(a, b), shrinkage),
        score=mapped_cosines,
    )

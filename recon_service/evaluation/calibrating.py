"""Learn a calibration from datasets: every pair of kinds of each dataset, the careful general pairs for
origins that no dataset has, and how all of them do on people that they were not learned on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.calibration import Calibration, PairCalibration, PairKey
from recon_service.comparison.measured import Measured
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.appearance_learning import learned_appearance
from recon_service.evaluation.calibration import learned_map
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.material import Material, parts_of
from recon_service.evaluation.measuring import measured_of
from recon_service.evaluation.pair_learning import (
    DEFAULT,
    Shrinkage,
    learned_pair,
    learned_score,
    learning_pairs,
    some_of_each,
)
from recon_service.evaluation.split import MAX_FOLDS, SubjectSplit

Report = Callable[[str, int, int], None]


def learned_calibration(
    materials: Sequence[Material],
    *,
    name: str,
    space: str,
    accepts: Sequence[str] = (),
    provenance: Mapping[str, object] | None = None,
    score_maps: Mapping[str, ScoreMap] | None = None,
    further: Sequence[Material] = (),
    appearance: AppearanceMaps | None = None,
    report: Report = lambda what, done, total: None,
) -> Calibration:
    """Learn every pair of the materials, general pairs from all that agree up to their origins, and maps of
    the appearances that the materials have.

    further: of the same people with the appearances of another network, for its map alone. appearance: maps
    that stay where none is learned.
    """
    pairs: dict[PairKey, PairCalibration] = {}
    by_general: dict[PairKey, list[Material]] = defaultdict(list)
    values: dict[tuple[str, PairKey], Array] = {}
    total = len(materials)
    seen = Counter(tuple(sorted(one.kinds)) for one in materials)
    for kinds, times in seen.items():
        if times > 1:
            raise InvalidValue(
                f"two datasets give {kinds[0]} against {kinds[1]}: name one of each camera and light"
            )
    for number, one in enumerate(materials):
        report(f"learning {one.dataset}", number, total)
        pair = learned_pair(one.first, one.second, one_kind=one.one_kind, folds=parts_of(one))
        figures, values[one.dataset, one.kinds] = scored_on_others(one)
        pairs[one.kinds] = PairCalibration(pair.score, pair.score_map, figures)
        by_general[one.general].append(one)
    for number, (kinds, parts) in enumerate(sorted(by_general.items())):
        report("learning for unknown cameras", number, len(by_general))
        if kinds not in pairs:
            pairs[kinds] = learned_general(parts)
    report("learning the appearance", 0, 1)

    def shape(one: Material, first: Observed, second: Observed, here: Comparisons) -> Array:
        # Computed above already, where every observation has an appearance.
        known = values.get((one.dataset, one.kinds))
        if known is not None and len(known) == len(here):
            return known
        return cross_validated(one, first, second, here, folds=parts_of(one))

    maps, fused = learned_appearance([*materials, *further], shape, name=name)
    return Calibration(
        name,
        space,
        pairs,
        tuple(accepts),
        dict(score_maps or {}),
        maps.over(appearance or AppearanceMaps.none()),
        fused,
        dict(provenance or {}),
    )


def measured(one: Material, *, shrinkage: Shrinkage = DEFAULT) -> Measured:
    """The figures of a pair, everything learned on other people than those compared."""
    return scored_on_others(one, shrinkage=shrinkage)[0]


def scored_on_others(one: Material, *, shrinkage: Shrinkage = DEFAULT) -> tuple[Measured, Array]:
    """See ``measured``; with the log-likelihood ratios (m,) of the pairs of ``learning_pairs``."""
    first, second = some_of_each(one.first), some_of_each(one.second)
    pairs = learning_pairs(first, second)
    values = cross_validated(one, first, second, pairs, folds=parts_of(one), shrinkage=shrinkage)
    before = before_the_map(one, first, second, pairs, shrinkage=shrinkage)
    return measured_of(one.dataset, first, second, pairs, values, before=before), values


def before_the_map(
    one: Material, first: Observed, second: Observed, pairs: Comparisons, *, shrinkage: Shrinkage = DEFAULT
) -> Array:
    """(m,) what the model says of itself, learned on others: the log-likelihood ratio that the map mends."""
    return SubjectSplit.of([*first.person, *second.person], folds=parts_of(one)).scored(
        first,
        second,
        pairs,
        learn=lambda a, b: learned_score(a, b, one_kind=one.one_kind, shrinkage=shrinkage),
        score=lambda model, a, b, here: model.of_pairs(a.mean, b.mean, here.reference, here.probe),
    )


def cross_validated(
    one: Material,
    first: Observed,
    second: Observed,
    pairs: Comparisons,
    *,
    folds: int = MAX_FOLDS,
    shrinkage: Shrinkage = DEFAULT,
) -> Array:
    """(m,) calibrated log-likelihood ratios, those of two people learned without both."""
    split = SubjectSplit.of([*first.person, *second.person], folds=folds)
    return split.scored(
        first,
        second,
        pairs,
        learn=lambda a, b: learned_pair(a, b, one_kind=one.one_kind, shrinkage=shrinkage),
        score=lambda pair, a, b, here: pair.score_map(
            pair.score.of_pairs(a.mean, b.mean, here.reference, here.probe)
        ),
    )


def learned_general(parts: Sequence[Material]) -> PairCalibration:
    """The pair for an unknown camera or light: models of several datasets, averaged, and the offsets between
    them counted as noise. The map is learned from each dataset under the model of the others, and no surer
    than the smallest of them allows.
    """
    models = [learned_score(p.first, p.second, one_kind=p.one_kind) for p in parts]
    one_kind = parts[0].one_kind
    if len(parts) == 1:
        # Nothing is known of other cameras: half of what the only one says.
        own = learned_pair(parts[0].first, parts[0].second, one_kind=one_kind, folds=parts_of(parts[0]))
        old = own.score_map
        return PairCalibration(own.score, ScoreMap(old.slope / 2, old.offset / 2, old.doubt, old.people))
    # How far cameras are apart is known from all of them: the map has to be that of the final model.
    offsets = _offsets(models, one_kind=one_kind)
    genuine, impostor, people = [], [], []
    for left_out, part in enumerate(parts):
        others = [m for place, m in enumerate(models) if place != left_out]
        model = _averaged(others, offsets)
        first, second = some_of_each(part.first), some_of_each(part.second)
        pairs = learning_pairs(first, second)
        values = model.of_pairs(first.mean, second.mean, pairs.reference, pairs.probe)
        same = first.person[pairs.reference] == second.person[pairs.probe]
        genuine.append(values[same])
        impostor.append(values[~same])
        people.append(len(np.unique(first.person)))
    return PairCalibration(
        _averaged(models, offsets),
        learned_map(_equal_parts(genuine), _equal_parts(impostor), people=min(people)),
    )


def _offsets(models: Sequence[PairScore], *, one_kind: bool) -> Array:
    """(K, K) covariance of the datasets' centers about their mean: noise to whoever does not know which."""
    found = np.zeros_like(models[0].within)
    sides = (0,) if one_kind else (0, 1)
    for side in sides:
        centers = np.stack([m.centers[side] for m in models])
        moved = centers - centers.mean(axis=0)
        found += moved.T @ moved / ((len(models) - 1) * len(sides))
    return found


def _averaged(models: Sequence[PairScore], offsets: Array) -> PairScore:
    centers = [np.mean([m.centers[side] for m in models], axis=0) for side in (0, 1)]
    gains = [np.mean([m.gains[side] for m in models], axis=0) for side in (0, 1)]
    return PairScore(
        (centers[0], centers[1]),
        (gains[0], gains[1]),
        np.mean([m.within for m in models], axis=0) + offsets,
        np.mean([m.between for m in models], axis=0),
    )


def _equal_parts(parts: Iterable[Array]) -> Array:
    """As many scores of every part, spread over each part's quantiles."""
    listed = [np.sort(part) for part in parts]
    count = max(len(part) for part in listed)
    return np.concatenate([p[np.linspace(0, len(p) - 1, count).astype(np.int64)] for p in listed])

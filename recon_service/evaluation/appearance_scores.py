"""Scores of a row from the appearance on both sides, and from shape and appearance together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.appearance import Light
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.calibration import learned_map
from recon_service.evaluation.comparisons import Comparisons, Observed, apart
from recon_service.evaluation.scores import Calibration, Scored, Sides
from recon_service.evaluation.split import SubjectSplit

COSINE = "appearance-cosine"
LLR = "appearance-llr"
FUSED = "fused-llr"
NO_APPEARANCE = "nothing to compare by appearance: the network is missing or not allowed (recon weights list)"


def appearance_scores(
    sides: Sides, shape: Sequence[Scored], maps: AppearanceMaps, *, cross_validate: bool
) -> Iterator[Scored]:
    """Nothing where a side has no appearance. shape: the scores by the shape, whose log-likelihood ratios are
    fused with those of the appearance that come from the same place (released, or learned on others). A
    comparison without appearance on one side counts with a ratio of zero.
    """
    cosine = cosines(sides.references, sides.probes, sides.pairs)
    if cosine is None or not np.isfinite(cosine).any():
        return
    yield Scored(COSINE, Calibration.NONE, np.where(np.isfinite(cosine), cosine, 0.0))
    ratios = {Calibration.RELEASED: _released(sides, maps)}
    if cross_validate:
        ratios[Calibration.CROSS_VALIDATED] = _learned(sides)
    for origin, ratio in ratios.items():
        if isinstance(ratio, str):
            yield Scored(LLR, origin, None, refused=ratio)
            continue
        yield Scored(LLR, origin, ratio, is_llr=True)
        for one in shape:
            if one.is_llr and one.calibration is origin and one.values is not None:
                yield Scored(FUSED, origin, one.values + ratio, is_llr=True)


def led_by_appearance(found: Sequence[Scored], *, cross_validate: bool) -> list[Scored]:
    """The same scores, the fused one first, or the reason why there is none."""
    origin = Calibration.CROSS_VALIDATED if cross_validate else Calibration.RELEASED
    first = [one for one in found if one.name == FUSED and one.calibration is origin]
    if not first:
        known = [one.refused for one in found if one.name == LLR and one.refused]
        first = [Scored(FUSED, origin, None, refused=known[0] if known else NO_APPEARANCE)]
    return [*first, *(one for one in found if one is not first[0])]


def cosines(first: Observed, second: Observed, pairs: Comparisons) -> Array | None:
    """(m,) mean cosines between the pictures of the pairs, NaN where a side has none."""
    if first.appearance is None or second.appearance is None:
        return None
    a, b = first.appearance[pairs.reference], second.appearance[pairs.probe]
    return np.asarray(np.einsum("md,md->m", a, b))


def _released(sides: Sides, maps: AppearanceMaps) -> Array | str:
    """By the maps of the service, for the network and the light of the first observation that has any: a row
    has one of each.
    """
    looks = [next((one for one in side.looks if one), "") for side in (sides.references, sides.probes)]
    words = [look.split("/") for look in looks]
    lights = frozenset(Light(word[2]) for word in words)
    known = maps.maps.get((words[0][0], words[0][1], lights)) if words[0][:2] == words[1][:2] else None
    if known is None:
        return f"no appearance map is released for {looks[0]} against {looks[1]}"
    return _mapped(known.score_map, cosines(sides.references, sides.probes, sides.pairs))


def _learned(sides: Sides) -> Array | str:
    try:
        split = SubjectSplit.of([*sides.references.person, *sides.probes.person])
        return split.scored(
            sides.references,
            sides.probes,
            sides.pairs,
            learn=learned_appearance_map,
            score=mapped_cosines,
        )
    except InvalidValue as few:
        return few.detail


def learned_appearance_map(first: Observed, second: Observed) -> ScoreMap:
    """The map of the cosine, from all comparisons of these people whose sides share no group."""
    reference, probe = np.nonzero(apart(list(first.groups), list(second.groups)))
    values = cosines(first, second, Comparisons(reference, probe))
    if values is None:
        raise InvalidValue("without appearance there is no map to learn")
    usable = np.isfinite(values)
    genuine = (first.person[reference] == second.person[probe])[usable]
    values = values[usable]
    if not genuine.any() or genuine.all():
        raise InvalidValue("too few people with an appearance to learn from")
    people = len(set(first.person) & set(second.person))
    return learned_map(values[genuine], values[~genuine], people=people)


def mapped_cosines(known: ScoreMap, first: Observed, second: Observed, pairs: Comparisons) -> Array:
    """(m,) log-likelihood ratios of the pairs, zero where a side has no appearance."""
    return _mapped(known, cosines(first, second, pairs))


def _mapped(known: ScoreMap, cosine: Array | None) -> Array:
    if cosine is None:
        raise InvalidValue("without appearance there is no score")
    return np.where(np.isfinite(cosine), known(np.nan_to_num(cosine)), 0.0)

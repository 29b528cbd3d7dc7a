"""The comparison of two appearances: a calibrated log-likelihood ratio of one person against two.

The maps are learned for a network and a pair of lights (docs/appearance.md). Where a pair of lights was not
measured, its map is a guess that says so, bounded and counted only against a match.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from recon_service.comparison.score_map import APPEARANCE, SHAPE, ScoreMap
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore

RELEASED = Path(__file__).with_name("appearance_maps.toml")


@dataclass(frozen=True, slots=True)
class AppearanceMap:
    """assumed: not learned from this pair of lights."""

    score_map: ScoreMap
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class AppearanceMaps:
    """By network (its name and version) and the two lights in either order."""

    name: str
    maps: Mapping[tuple[str, str, frozenset[Light]], AppearanceMap]

    def of(self, first: Appearance, second: Appearance) -> AppearanceMap | None:
        """None for a network that no map was learned for: its cosine alone says nothing."""
        if first.network != second.network:
            return None
        return self.maps.get((first.embedder, first.version, frozenset({first.light, second.light})))


@dataclass(frozen=True, slots=True)
class AppearanceRatio:
    """llr: natural logarithm, one person against two. assumed: see ``AppearanceMap``."""

    llr: float
    assumed: bool


def compare_appearance(
    reference: Appearance | None, probe: Appearance | None, maps: AppearanceMaps
) -> AppearanceRatio | None:
    """None where one side has no appearance, or where no map fits the two."""
    if reference is None or probe is None:
        return None
    known, cosine = maps.of(reference, probe), reference.similarity(probe)
    if known is None or cosine is None:
        return None
    return AppearanceRatio(known.score_map(cosine), known.assumed)


def with_appearance(shape: ComparisonScore, seen: AppearanceRatio | None) -> ComparisonScore:
    """The sum of both kinds of evidence, with its parts; the shape alone where there is no other.

    A ratio that is assumed counts only against: a guess may cost a match, and never makes one.
    """
    if seen is None:
        return replace(shape, parts=((SHAPE, shape.llr),))
    ratio = min(seen.llr, 0.0) if seen.assumed else seen.llr
    return replace(shape, llr=shape.llr + ratio, parts=((SHAPE, shape.llr), (APPEARANCE, ratio)))


@cache
def load_appearance_maps(path: Path = RELEASED) -> AppearanceMaps:
    """Read the released maps. Raises InvalidValue."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
        maps = dict(_entry(entry) for entry in content["map"])
        return AppearanceMaps(str(content["name"]), maps)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as fault:
        raise InvalidValue(
            f"the appearance maps {path.name} cannot be read: {fault}",
            next_step="Restore the file from the repository.",
        ) from fault


def _entry(entry: Mapping[str, Any]) -> tuple[tuple[str, str, frozenset[Light]], AppearanceMap]:
    slope, offset, doubt = (float(entry[name]) for name in ("slope", "offset", "doubt"))
    key = str(entry["embedder"]), str(entry["version"]), frozenset(Light(one) for one in entry["lights"])
    return key, AppearanceMap(ScoreMap(slope, offset, doubt, int(entry["people"])), bool(entry["assumed"]))

"""The comparison of two appearances: a calibrated log-likelihood ratio of one person against two.

The maps are learned for a network and a pair of lights, by `recon calibrate`, and kept in the calibration
(docs/appearance.md). Where a pair of lights was not measured, its map is a guess that says so, bounded and
counted only against a match: ``appearance_maps.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from recon_service.comparison.measured import Measured
from recon_service.comparison.score_map import APPEARANCE, SHAPE, ScoreMap
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore

RELEASED = Path(__file__).with_name("appearance_maps.toml")


AppearanceKey = tuple[str, str, frozenset[Light]]
"""Name and version of a network, and the lights of both sides."""


@dataclass(frozen=True, slots=True)
class AppearanceMap:
    """assumed: not learned from this pair of lights. measured: how it did on others, where it was learned.
    shrinkage: what slope and offset were multiplied with after they were learned.
    """

    score_map: ScoreMap
    assumed: bool = False
    measured: Measured | None = None
    shrinkage: float = 1.0


@dataclass(frozen=True, slots=True)
class AppearanceMaps:
    """By network (its name and version) and the two lights in either order."""

    name: str
    maps: Mapping[AppearanceKey, AppearanceMap]

    @staticmethod
    def none() -> AppearanceMaps:
        """Nothing is known of any network."""
        return AppearanceMaps("none", {})

    def over(self, others: AppearanceMaps) -> AppearanceMaps:
        """These, and the others where these know nothing."""
        if not self.maps:
            return others
        return AppearanceMaps(f"{self.name}+{others.name}", {**others.maps, **self.maps})

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


def lacking_appearance(reference: Appearance | None, probe: Appearance | None) -> str:
    """Which side keeps appearances from being compared: "reference", "probe", or "network" where the two were
    made by different ones, or by one that no map was learned for.
    """
    if reference is None:
        return "reference"
    return "probe" if probe is None else "network"


def with_appearance(
    shape: ComparisonScore, seen: AppearanceRatio | None, *, lacking: str = ""
) -> ComparisonScore:
    """The sum of both kinds of evidence, with its parts; the shape alone where there is no other.

    A ratio that is assumed counts only against: a guess may cost a match, and never makes one. lacking: why
    there is no ratio.
    """
    if seen is None:
        missing = ((APPEARANCE, lacking),) if lacking else ()
        return replace(shape, parts=((SHAPE, shape.llr),), missing=missing)
    ratio = min(seen.llr, 0.0) if seen.assumed else seen.llr
    return replace(
        shape,
        llr=shape.llr + ratio,
        parts=((SHAPE, shape.llr), (APPEARANCE, ratio)),
        missing=((APPEARANCE, "assumed"),) if seen.assumed else (),
    )


@cache
def load_appearance_maps(path: Path = RELEASED) -> AppearanceMaps:
    """Read the released guesses. Raises InvalidValue."""
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


def _entry(entry: Mapping[str, Any]) -> tuple[AppearanceKey, AppearanceMap]:
    slope, offset, doubt = (float(entry[name]) for name in ("slope", "offset", "doubt"))
    key = str(entry["embedder"]), str(entry["version"]), frozenset(Light(one) for one in entry["lights"])
    return key, AppearanceMap(ScoreMap(slope, offset, doubt, int(entry["people"])), bool(entry["assumed"]))

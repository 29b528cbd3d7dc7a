"""The noise table: what is known of each source's errors beyond what its fit claims. One file, named in
every decision.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recon_service.domain.arrays import Array, finite
from recon_service.domain.errors import InvalidValue

GENERIC = "generic"
RELEASED = Path(__file__).with_name("noise.toml")
"""The table that ships with the code."""


@dataclass(frozen=True, slots=True)
class SourceNoise:
    """How a source errs beyond what its fits claim.

    inflation: factor on the noise variance of everything it observed (1: the fit's own claim). spread:
    standard deviation, per coefficient, by which the same person's captures differ although each fit is
    sure of itself (expression taken for identity, smoothing, lens). center: (K,) mean of the source's
    posterior means over many people, or None for zero.
    """

    inflation: float
    spread: float = 0.0
    center: Array | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.inflation) and self.inflation > 0):
            raise InvalidValue(f"noise inflation must be positive, not {self.inflation:g}")
        if not (np.isfinite(self.spread) and self.spread >= 0):
            raise InvalidValue(f"spread must not be negative, but is {self.spread:g}")
        if self.center is not None:
            finite(self.center, "center")


@dataclass(frozen=True, slots=True)
class NoiseTable:
    """Noise by source ("facemesh468", "kinect2", …); sources that it does not name get its generic entry."""

    name: str
    sources: Mapping[str, SourceNoise]

    def __post_init__(self) -> None:
        if GENERIC not in self.sources:
            raise InvalidValue(f"the noise table {self.name} lacks the entry {GENERIC!r}")

    def of(self, source: str) -> SourceNoise:
        return self.sources.get(source, self.sources[GENERIC])


def load_noise_table(path: Path = RELEASED) -> NoiseTable:
    """Read a TOML noise table. Raises InvalidValue with what is wrong in it."""
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
        sources = {
            name: SourceNoise(
                inflation=float(entry["inflation"]),
                spread=float(entry.get("spread", 0.0)),
                center=np.array(entry["center"], dtype=np.float64) if "center" in entry else None,
            )
            for name, entry in content["source"].items()
        }
        return NoiseTable(str(content["name"]), sources)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError, ValueError) as fault:
        raise InvalidValue(
            f"the noise table {path.name} cannot be read: {fault}",
            next_step="Restore it from the repository.",
        ) from fault

"""What defines a synthetic population: the same specification gives the same people, pictures and frames."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from recon_service.domain.errors import InvalidValue

NAMES: Final = {
    name: number
    for number, name in enumerate(
        ("shape", "skin", "anatomy", "session", "selfie", "degraded", "visit", "frame", "tiles")
    )
}


@dataclass(frozen=True, slots=True)
class ShapeSpec:
    """How heads differ. Lengths in millimetres.

    leading_sd, leading_modes: standard deviation of the first identity coefficients (the others have 1);
    tail_freedom: degrees of freedom of their Student distribution (heavier tails than the model's Gaussian
    prior). patches: pairs (extent, standard deviation) of smooth random displacement fields along the surface
    normal. drift: extent and standard deviation, per axis, of a displacement in any direction, which makes
    the sides of a face differ. level_sd: standard deviation of the logarithm of a factor per head on all
    displacements.
    """

    leading_sd: float = 1.2
    leading_modes: int = 15
    tail_freedom: float = 6.0
    patches: tuple[tuple[float, float], ...] = ((40.0, 0.8), (15.0, 0.65), (6.0, 0.22))
    drift: tuple[float, float] = (40.0, 0.5)
    level_sd: float = 0.13

    def __post_init__(self) -> None:
        if self.tail_freedom <= 2:
            raise InvalidValue("a Student distribution has a variance from more than 2 degrees of freedom")
        if min(self.leading_sd, self.level_sd, self.drift[1], *(sd for _, sd in self.patches)) < 0:
            raise InvalidValue("standard deviations are not negative")


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """A synthetic population.

    seed: its number. subjects: how many people. width, height: pixels of a selfie. expression: factor on the
    strength of expressions. texture_folder: a folder with a scan of a face whose colors join the portraits'
    (see ``scan.py``), None for the portraits alone; its content must not change under one name.
    """

    seed: int = 0
    subjects: int = 200
    width: int = 810
    height: int = 1080
    expression: float = 1.0
    shape: ShapeSpec = field(default_factory=ShapeSpec)
    texture_folder: str | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InvalidValue("the seed of a population is not negative")
        if self.subjects < 1:
            raise InvalidValue("a population has at least one subject")
        if not (240 <= self.width <= 4000 and 240 <= self.height <= 4000):
            raise InvalidValue(f"selfies of {self.width}x{self.height} pixels are not foreseen (240 to 4000)")
        if self.expression < 0:
            raise InvalidValue("the strength of expressions is not negative")

    def random(self, purpose: str, *numbers: int) -> np.random.Generator:
        """The stream of random numbers of one purpose (one of NAMES) for one subject, selfie or frame.

        Streams do not depend on each other nor on the order in which they are asked for.
        """
        return np.random.default_rng([self.seed, NAMES[purpose], *numbers])

    def key(self) -> str:
        """24 hexadecimal digits: equal where the subjects are. Their number does not matter; the code of
        the simulation does.
        """
        content = asdict(self) | {"generator": _generator()}
        del content["subjects"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


@cache
def _generator() -> str:
    """Digest of the code that generates: files rendered by another version are not used again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()

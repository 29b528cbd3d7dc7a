"""How a face looks, as a network for face recognition sees it: what is kept of pictures, beside the shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from recon_service.domain.arrays import Array, finite, frozen, shaped
from recon_service.domain.errors import InvalidValue

LONGEST = 1 + 1e-6


class Light(StrEnum):
    """What a picture was taken in. A picture whose three channels are equal counts as infrared: it says
    nothing of colors, whoever made it.
    """

    VISIBLE = "visible"
    INFRARED = "infrared"


@dataclass(frozen=True, slots=True)
class Appearance:
    """The mean of the unit vectors that one network gave for pictures of one person.

    embedder, version: which network with which parameters. light: of all the pictures. mean: (D,), not
    normalized: its length tells how well the pictures agree. count: of the pictures.
    """

    embedder: str
    version: str
    light: Light
    mean: Array
    count: int

    def __post_init__(self) -> None:
        finite(shaped(self.mean, "appearance", None), "appearance")
        if self.count < 1 or len(self.mean) < 1 or float(np.linalg.norm(self.mean)) > LONGEST:
            raise InvalidValue("an appearance is the mean of one or more unit vectors")
        object.__setattr__(self, "mean", frozen(self.mean))

    @classmethod
    def of(cls, vectors: Array, *, embedder: str, version: str, light: Light) -> Appearance:
        """vectors: (N, D), of length one each."""
        shaped(vectors, "vectors", None, None)
        lengths = np.linalg.norm(vectors, axis=1)
        if len(vectors) == 0 or not np.allclose(lengths, 1.0, atol=1e-4):
            raise InvalidValue("an appearance is made of unit vectors")
        return cls(embedder, version, light, np.asarray(vectors.mean(axis=0)), len(vectors))

    @property
    def network(self) -> tuple[str, str, int]:
        """What two appearances must share to be compared."""
        return self.embedder, self.version, len(self.mean)

    def similarity(self, other: Appearance) -> float | None:
        """Mean cosine over all pairs of a picture here and a picture there, -1 to 1: its expectation does
        not depend on how many there are. None for vectors of different networks.
        """
        return float(self.mean @ other.mean) if self.network == other.network else None

    @staticmethod
    def joined(parts: Sequence[Appearance]) -> Appearance | None:
        """All pictures together; None for no parts. Raises InvalidValue for different networks or lights."""
        if not parts:
            return None
        first = parts[0]
        if any(p.network != first.network or p.light is not first.light for p in parts):
            raise InvalidValue("appearances of different networks or lights cannot be joined")
        total = sum(p.count for p in parts)
        mean = np.sum([p.count * p.mean for p in parts], axis=0) / total
        return Appearance(first.embedder, first.version, first.light, mean, total)

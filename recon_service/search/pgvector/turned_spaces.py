"""The spaces in which the vectors lie that the server sees: one for each pair of kinds, all turned by a
matrix that is secret.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.pair_score import PairScore
from recon_service.domain.arrays import Array
from recon_service.search.bounding_space import BoundingSpace


@dataclass(frozen=True, slots=True)
class TurnedSpaces:
    """rank: how many directions are kept. turn: (rank + 2, rank + 2) orthogonal."""

    calibration: Calibration
    rank: int
    turn: Array

    @property
    def made_with(self) -> str:
        """What vectors have in common that can be compared with each other."""
        return f"{self.calibration.identity} rank {self.rank} format 2"

    def of(self, score: PairScore) -> BoundingSpace:
        """Of one pair of kinds, which has that score."""
        return BoundingSpace(score, self.rank, self.turn)


def turned_spaces(calibration: Calibration, *, rank: int | None, secret: str) -> TurnedSpaces:
    """All directions by default: every row of the shortlist costs the opening of a sealed template."""
    kept = min(rank or calibration.modes, calibration.modes)
    return TurnedSpaces(calibration, kept, secret_turn(secret, kept + 2))


def secret_turn(secret: str, dimension: int) -> Array:
    """(D, D) orthogonal, uniformly distributed, the same for the same secret on every machine."""
    size = dimension * dimension
    stream = hashlib.shake_256(secret.encode()).digest(16 * size)
    uniform = (np.frombuffer(stream, dtype="<u8").astype(np.float64) + 0.5) / 2.0**64
    normal = np.sqrt(-2 * np.log(uniform[:size])) * np.cos(2 * np.pi * uniform[size:])
    turn, triangle = np.linalg.qr(normal.reshape(dimension, dimension))
    return np.asarray(turn * np.sign(np.diag(triangle)))

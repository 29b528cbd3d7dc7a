"""Whitened cosine: the cosine of two coefficient vectors after the within-person variation, learned on
other people, is whitened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array

SHRINKAGE = 0.1
"""Share of the pooled variance put on the diagonal: 60 modes from some hundred captures are noisy."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """x -> (x - mean) @ root; mean: (K,), root: (K, K)."""

    mean: Array
    root: Array

    @classmethod
    def learned(cls, people: Sequence[Array]) -> Whitening:
        """people: for each other person the coefficients (n, K) of their captures."""
        mean = np.mean([p.mean(axis=0) for p in people], axis=0)
        deviations = np.concatenate([p - p.mean(axis=0) for p in people])
        modes = deviations.shape[1]
        within = deviations.T @ deviations / (len(deviations) - len(people))
        within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / modes * np.eye(modes)
        return cls(mean, np.linalg.cholesky(np.linalg.inv(within)))

    def __call__(self, coefficients: Array) -> Array:
        return np.asarray((coefficients - self.mean) @ self.root)


def cosine(first: Array, second: Array) -> Array:
    """Cosines (N, M) of rows (N, K) and (M, K)."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300) for x in (first, second)]
    return np.asarray(unit[0] @ unit[1].T)

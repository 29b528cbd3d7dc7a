"""The score of two shapes: how much likelier they are as one person's than as two people's, in a model
learned on other people.

A side's posterior mean x, less the mean of its kind over people, is

    x = G z + e,   z ~ N(0, B) who it is,   e ~ N(0, W) everything that changes while the person stays,

with the gain G = I - C of its kind (C: its mean posterior covariance; a posterior mean is drawn toward the
model's mean by just that). W holds expressions, poses, sensor and, between two kinds, the gap between them.
This is the two-covariance model of probabilistic linear discriminant analysis. With T = G B G' + W for each
side and P = G1 B G2' between them,

    s = log N([x1 x2]; 0, [[T1, P], [P', T2]]) - log N(x1; 0, T1) - log N(x2; 0, T2),

a quadratic form of x1 and x2. Each x is first brought to the length that the model expects, x' T⁻¹ x = K
(Garcia-Romero and Espy-Wilson, 2011): captures that go wrong are long, and lengths tell people apart badly.
The score is symmetric: exchanging the sides together with their kinds changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class PairScore:
    """The model of one pair of kinds.

    centers: (K,) each, mean of the kind's posterior means over people. gains: (K, K) each. within, between:
    (K, K), positive definite.
    """

    centers: tuple[Array, Array]
    gains: tuple[Array, Array]
    within: Array
    between: Array
    _own: tuple[Array, Array] = field(init=False, repr=False, compare=False)
    _expected: tuple[Array, Array] = field(init=False, repr=False, compare=False)
    _cross: Array = field(init=False, repr=False, compare=False)
    _constant: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        k = len(self.within)
        for matrix in (self.within, self.between, *self.gains):
            finite(shaped(matrix, "matrix of a pair score", k, k), "matrix of a pair score")
        for center in self.centers:
            finite(shaped(center, "center", k), "center")
        totals = [gain @ self.between @ gain.T + self.within for gain in self.gains]
        across = self.gains[0] @ self.between @ self.gains[1].T
        joint = np.block([[totals[0], across], [across.T, totals[1]]])
        try:
            logs = [np.log(np.diag(np.linalg.cholesky(m))).sum() for m in (*totals, joint)]
        except np.linalg.LinAlgError:
            raise InvalidValue("the covariances of a pair score must be positive definite") from None
        alone = [np.linalg.inv(total) for total in totals]
        together = np.linalg.inv(joint)
        set_ = object.__setattr__
        set_(self, "_own", (alone[0] - together[:k, :k], alone[1] - together[k:, k:]))
        set_(self, "_expected", (alone[0], alone[1]))
        set_(self, "_cross", -together[:k, k:])
        set_(self, "_constant", float(logs[0] + logs[1] - logs[2]))

    @property
    def modes(self) -> int:
        """K."""
        return len(self.within)

    @property
    def cross(self) -> Array:
        """(K, K): of the term that both sides make together, normalized first @ cross @ normalized second."""
        return self._cross

    @property
    def constant(self) -> float:
        """What every pair gets."""
        return self._constant

    def expected(self, side: int) -> tuple[Array, Array]:
        """(K, K) each, of a side: the inverse of what its model expects, in which normalized means have the
        squared length K; and the form of ``alone``, half of which it is.
        """
        return self._expected[side], self._own[side]

    def alone(self, means: Array, side: int) -> tuple[Array, Array]:
        """(n, K) normalized means of a side, and (n,) the part of the score that is theirs whatever they are
        compared with.
        """
        x = self._normalized(means, side)
        return x, np.asarray(0.5 * np.einsum("nk,nk->n", x @ self._own[side], x))

    def swapped(self) -> PairScore:
        """The same pair with its sides exchanged."""
        return PairScore(self.centers[::-1], self.gains[::-1], self.within, self.between)

    def __call__(self, first: Array, second: Array) -> Array:
        """(n,) scores of posterior means (n, K) against (n, K), row by row."""
        a, b = self._normalized(first, 0), self._normalized(second, 1)
        rows = np.arange(len(a))
        return self._scored(a, b, rows, rows)

    def of_pairs(
        self, first: Array, second: Array, rows: NDArray[np.int64], others: NDArray[np.int64]
    ) -> Array:
        """(m,) scores of rows of ``first`` (n, K) against rows of ``second`` (l, K)."""
        return self._scored(self._normalized(first, 0), self._normalized(second, 1), rows, others)

    def innovations(self, first: Array, second: Array, modes: int) -> Array:
        """(n,) squared differences of the two sides of one person, row by row of (n, K) and (n, K), in the
        leading modes, over what the model expects of one person: 1 on average where the model is honest.
        """
        difference = (first - self.centers[0] - second + self.centers[1])[:, :modes]
        gap = self.gains[0] - self.gains[1]
        expected = (gap @ self.between @ gap.T + 2 * self.within)[:modes, :modes]
        squared = np.einsum("nk,nk->n", difference, np.linalg.solve(expected, difference.T).T)
        return np.asarray(squared / modes)

    def _normalized(self, means: Array, side: int) -> Array:
        moved = np.asarray(means, dtype=np.float64) - self.centers[side]
        squared = np.einsum("nk,nk->n", moved @ self._expected[side], moved)
        return np.asarray(moved * np.sqrt(self.modes / np.maximum(squared, 1e-12))[:, None])

    def _scored(self, a: Array, b: Array, rows: NDArray[np.int64], others: NDArray[np.int64]) -> Array:
        own = [0.5 * np.einsum("nk,nk->n", x @ q, x) for x, q in zip((a, b), self._own, strict=True)]
        crossed = a @ self._cross
        result = own[0][rows] + own[1][others] + self._constant
        return np.asarray(result + np.einsum("mk,mk->m", crossed[rows], b[others]))

"""The score of one probe against very many references as an inner product, and how far it can be wrong.

For a pair of kinds the score of a reference a and a probe b (``comparison/pair_score.py``), both brought to
the length that their kind is expected to have, is

    s = a' X b + o(a) + o(b) + c,   a' T1⁻¹ a = b' T2⁻¹ b = K.

With T⁻¹ = L L' for each side and L1⁻¹ X L2⁻ᵀ = U S V', the whitened sides p = U' L1' a and q = V' L2' b have
the length √K both, and a' X b = Σ s_k p_k q_k, the s_k falling. The first r of them are kept. What the others
add is at most τ(a) t(b) by the inequality of Cauchy and Schwarz, with τ² = Σ_{k>r} p_k² and
t² = Σ_{k>r} (s_k q_k)², so that

    bound = [p_1 … p_r, τ, o(a)] · [s_1 q_1 … s_r q_r, t, 1] + o(b) + c  >=  s :

an inner product of a vector that belongs to the reference alone with one that belongs to the probe alone, and
never less than the score. With r = K it is the score itself. Both vectors may be turned by one orthogonal
matrix, which changes no inner product. Vectors are kept in single precision; ``slack`` bounds what that takes
from the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon_service.comparison.pair_score import PairScore
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ProbeVector:
    """vector: (r + 2,) float32. constant: added to every inner product. slack: by how much a computed bound
    may lie below the true one. mean: (K,) the probe itself.
    """

    vector: Vectors
    constant: float
    slack: float
    mean: Array


@dataclass(frozen=True, slots=True)
class BoundingSpace:
    """The vectors of one pair of kinds: the reference's kind first.

    rank: r, how many of the K directions are kept. turn: (r + 2, r + 2) orthogonal, or None.
    """

    score: PairScore
    rank: int
    turn: Array | None = None
    _reference: Array = field(init=False, repr=False, compare=False)
    _probe: Array = field(init=False, repr=False, compare=False)
    _unit: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        modes = self.score.modes
        if not 1 <= self.rank <= modes:
            raise InvalidValue(f"the rank of a search space lies between 1 and {modes}, not at {self.rank}")
        roots = [np.linalg.cholesky(self.score.expected(side)[0]) for side in (0, 1)]
        crossed = np.linalg.solve(roots[0], np.linalg.solve(roots[1], self.score.cross.T).T)
        left, values, right = np.linalg.svd(crossed)
        own = np.linalg.solve(roots[0], np.linalg.solve(roots[0], self.score.expected(0)[1]).T)
        set_ = object.__setattr__
        set_(self, "_reference", roots[0] @ left)
        set_(self, "_probe", roots[1] @ right.T * values)
        # o(a) is half of a form of a vector of length √K: at most this times √K, so that no vector of a
        # reference is longer than √(2 K).
        most = 0.5 * np.sqrt(modes) * float(np.abs(np.linalg.eigvalsh((own + own.T) / 2)).max())
        set_(self, "_unit", max(most, 1e-9))

    @property
    def dimension(self) -> int:
        """Of a vector: r + 2."""
        return self.rank + 2

    def references(self, means: Array) -> Vectors:
        """(n, r + 2) float32 vectors of posterior means (n, K)."""
        normalized, alone = self.score.alone(means, 0)
        whitened = normalized @ self._reference
        rest = np.linalg.norm(whitened[:, self.rank :], axis=1)
        parts = [whitened[:, : self.rank], rest[:, None], alone[:, None] / self._unit]
        return self._turned(np.concatenate(parts, axis=1)).astype(np.float32)

    def probe(self, mean: Array) -> ProbeVector:
        """The vector of a probe's posterior mean (K,)."""
        normalized, alone = self.score.alone(mean[None], 1)
        weights = (normalized @ self._probe)[0]
        rest = float(np.linalg.norm(weights[self.rank :]))
        vector = self._turned(np.concatenate([weights[: self.rank], [rest, self._unit]]))
        # Each product is rounded three times (reference, probe, product) and every sum once: the classical
        # bound of the error of an inner product, for the longest vectors that there can be.
        rounding = float(np.finfo(np.float32).eps) / 2
        longest = np.sqrt(2 * self.score.modes) * float(np.linalg.norm(vector))
        slack = 1.01 * (self.dimension + 4) * rounding * longest
        constant = float(alone[0]) + self.score.constant
        return ProbeVector(vector.astype(np.float32), constant, slack, np.asarray(mean))

    def exact(self, means: Array, probe: ProbeVector) -> Array:
        """(n,) scores of posterior means (n, K) against the probe."""
        return self.score(means, np.broadcast_to(probe.mean, means.shape))

    def _turned(self, vectors: Array) -> Array:
        return vectors if self.turn is None else np.asarray(vectors @ self.turn)

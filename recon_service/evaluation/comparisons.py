"""Observations side by side, and the comparisons between them, as arrays.

The score's formula is that of ``comparison/likelihood_ratio.py``, evaluated for many pairs at once; a test
holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.comparison.noise import SourceNoise
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.draws import Drawn

Indices = NDArray[np.int64]
BLOCK = 512
"""Pairs at a time: 512 matrices of 60 x 60 take 15 MB, near to what a core's cache holds."""


@dataclass(frozen=True, slots=True)
class Observed:
    """n observations of one side.

    person: (n,) str. source: of the noise table. mean: (n, K) posterior means. information: (n, K, K) and
    vector: (n, K), what was observed without the prior.
    """

    person: NDArray[np.str_]
    source: str
    mean: Array
    information: Array
    vector: Array

    @classmethod
    def of(cls, people: Sequence[str], posteriors: Sequence[IdentityPosterior], source: str) -> Observed:
        evidence = [posterior.evidence() for posterior in posteriors]
        return cls(
            np.array(people, dtype=np.str_),
            source,
            np.stack([posterior.mean for posterior in posteriors]),
            np.stack([information for information, _ in evidence]),
            np.stack([vector for _, vector in evidence]),
        )

    def __len__(self) -> int:
        return len(self.person)

    def take(self, rows: Indices | NDArray[np.bool_]) -> Observed:
        """Some of them."""
        return Observed(
            self.person[rows], self.source, self.mean[rows], self.information[rows], self.vector[rows]
        )


@dataclass(frozen=True, slots=True)
class Comparisons:
    """m comparisons: rows of the references and rows of the probes, (m,) each."""

    reference: Indices
    probe: Indices

    def __len__(self) -> int:
        return len(self.reference)


def comparisons(drawn: Drawn) -> Comparisons:
    """Every reference against every probe that shares no group with it; once per pair where the two sides
    are the same.
    """
    groups: dict[frozenset[str], int] = {}
    sides = [
        np.array([groups.setdefault(sample.groups, len(groups)) for sample in side], dtype=np.int64)
        for side in (drawn.references, drawn.probes)
    ]
    distinct = list(groups)
    apart = np.array([[one.isdisjoint(other) for other in distinct] for one in distinct], dtype=bool)
    apart = apart.reshape(len(distinct), len(distinct))
    allowed = apart[np.ix_(sides[0], sides[1])]
    if drawn.same:
        allowed = np.triu(allowed, 1)
    reference, probe = np.nonzero(allowed)
    return Comparisons(reference, probe)


@dataclass(frozen=True, slots=True)
class Corrected:
    """Observations after ``corrected`` of the noise table, for any center.

    information: (n, K, K). vector: (n, K) for the center zero. shift: (n, K, K), so that the vector for a
    center c is vector - shift c.
    """

    information: Array
    vector: Array
    shift: Array

    @classmethod
    def of(cls, side: Observed, noise: SourceNoise) -> Corrected:
        """Inflated and spread as ``likelihood_ratio.corrected`` does; the noise's own center is applied."""
        identity = np.eye(side.mean.shape[1])
        information, vector = side.information / noise.inflation, side.vector / noise.inflation
        shift = (side.information + identity) / noise.inflation
        if noise.spread > 0:
            damping = np.linalg.inv(identity + noise.spread**2 * information)
            information = damping @ information
            information = (information + information.transpose(0, 2, 1)) / 2
            vector = (damping @ vector[..., None])[..., 0]
            shift = damping @ shift
        plain = cls(information, vector, shift)
        return plain if noise.center is None else plain.centered(noise.center)

    def centered(self, center: Array) -> Corrected:
        """The same with the posterior means moved by -center (K,)."""
        return Corrected(self.information, self.vector - self.shift @ center, self.shift)


def log_likelihood_ratios(first: Corrected, second: Corrected, pairs: Comparisons) -> Array:
    """(m,) natural log-likelihood ratios of the pairs; see ``likelihood_ratio.log_likelihood_ratio``."""
    alone = [evidence_integrals(side.information, side.vector) for side in (first, second)]
    together = np.empty(len(pairs))
    for at in range(0, len(pairs), BLOCK):
        a, b = pairs.reference[at : at + BLOCK], pairs.probe[at : at + BLOCK]
        together[at : at + BLOCK] = evidence_integrals(
            first.information[a] + second.information[b], first.vector[a] + second.vector[b]
        )
    return together - alone[0][pairs.reference] - alone[1][pairs.probe]


def evidence_integrals(information: Array, vector: Array) -> Array:
    """(n,) values of ½ v' (L + I)⁻¹ v - ½ log det(L + I) for L: (n, K, K) and v: (n, K).

    One Cholesky factorization gives both: below the factor of P = L + I, the factor of [[P, v], [v', c]] has
    the row (P^-½ v)'. P is at least I, so that c = v'v + 1 keeps the whole positive definite.
    """
    n, k = vector.shape
    bordered = np.empty((n, k + 1, k + 1))
    bordered[:, :k, :k] = information
    bordered[:, range(k), range(k)] += 1.0
    bordered[:, k, :k] = vector
    bordered[:, :k, k] = vector
    bordered[:, k, k] = np.einsum("nk,nk->n", vector, vector) + 1.0
    factor = np.linalg.cholesky(bordered)
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)[:, :k]).sum(axis=1)
    return np.asarray(0.5 * (factor[:, k, :k] ** 2).sum(axis=1) - log_det)

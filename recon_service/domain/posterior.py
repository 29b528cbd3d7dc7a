"""The identity of a person: a Gaussian posterior over the identity coefficients of the canonical model,
prior N(0, I).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.errors import InvalidValue, ModelMismatch


@dataclass(frozen=True, slots=True)
class IdentityPosterior:
    """Mean (K,) and covariance (K, K) of the identity coefficients, and the coefficient space they belong to.

    The covariance is symmetric and positive definite; the prior N(0, I) is part of it. InvalidValue
    otherwise.
    """

    space: str
    mean: Array
    covariance: Array

    def __post_init__(self) -> None:
        k = len(self.mean)
        finite(shaped(self.mean, "posterior mean", k), "posterior mean")
        finite(shaped(self.covariance, "posterior covariance", k, k), "posterior covariance")
        if np.abs(self.covariance - self.covariance.T).max() > 1e-6 * max(
            1.0, float(np.abs(self.covariance).max())
        ):
            raise InvalidValue("a posterior covariance must be symmetric")
        try:
            np.linalg.cholesky(self.covariance)
        except np.linalg.LinAlgError:
            raise InvalidValue("a posterior covariance must be positive definite") from None

    @classmethod
    def prior(cls, space: str, modes: int) -> IdentityPosterior:
        """Nothing observed yet."""
        return cls(space, np.zeros(modes), np.eye(modes))

    @classmethod
    def from_evidence(cls, space: str, information: Array, score: Array) -> IdentityPosterior:
        """The posterior that an evidence's information matrix (K, K) and vector (K,) give on top of the
        prior.
        """
        precision = information + np.eye(len(score))
        covariance = np.linalg.inv((precision + precision.T) / 2)
        covariance = (covariance + covariance.T) / 2
        return cls(space, covariance @ score, covariance)

    def evidence(self) -> tuple[Array, Array]:
        """What was observed, without the prior: information matrix (K, K), positive semidefinite, and
        vector (K,).
        """
        precision = np.linalg.inv(self.covariance)
        precision = (precision + precision.T) / 2
        values, vectors = np.linalg.eigh(precision - np.eye(len(self.mean)))
        information = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return np.asarray(information), np.asarray(precision @ self.mean)

    def fused_with(self, other: IdentityPosterior) -> IdentityPosterior:
        """The posterior of both observations, if they are independent given the identity: their information
        adds up.
        """
        self.require_same_space(other)
        (information, vector), (more, more_vector) = self.evidence(), other.evidence()
        return IdentityPosterior.from_evidence(self.space, information + more, vector + more_vector)

    def require_same_space(self, other: IdentityPosterior) -> None:
        """ModelMismatch, with both names, unless the two speak of the same coefficients."""
        if self.space != other.space or len(self.mean) != len(other.mean):
            raise ModelMismatch(
                f"coefficients of {self.space} ({len(self.mean)}) cannot be compared "
                f"with {other.space} ({len(other.mean)})",
                next_step="Derive the template anew for the model in force: a batch of re-enrollment does.",
            )

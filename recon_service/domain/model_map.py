"""A posterior of one morphable model in the coefficients of another, through their common surface.

Both models give the same N points of the surface as linear functions of their coefficients,

    y(a) = m + A a   (the old one, K coefficients),      y(b) = n + B b   (the new one, L coefficients),

in frames that may differ by a similarity. A face b of the new model is seen by the old one as its least
squares coefficients, with the similarity's seven directions S (at the old mean) taken out of everything by
the projection Q = I - S S⁺:

    a(b) = H b + h,    H = (Q A)⁺ Q B,    h = (Q A)⁺ Q (n - m).

The old posterior without its prior is an observation of a: N(a; x, R) with R the inverse of its
information. What it says of b is that of a(b), so that with the prior N(0, I) of the new model

    covariance⁻¹ = I + Hᵀ (R + E)⁻¹ H,    mean = covariance Hᵀ (R + E)⁻¹ (x - h).

E is what the detour costs: shapes that the old model has and the new one has not, a - H H⁺ a for a ~ N(0,
I), which the old posterior may owe what it saw to:

    E = (I - H H⁺)(I - H H⁺)ᵀ.

Directions of the new model that the old one cannot express keep the width of the prior. Where both models
span the same shapes E is zero and the map is exact, there and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ModelMismatch
from recon_service.domain.morphable_model import LinearPoints
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.similarity import best_similarity

RANK = 1e-8
"""Singular values below this share of the largest one count as zero."""
FEWEST_POINTS = 8


@dataclass(frozen=True, slots=True)
class PosteriorMap:
    """See the top of this file.

    source, target: names of the coefficient spaces. linear: H (K, L). offset: h (K,). cost: E (K, K),
    positive semidefinite.
    """

    source: str
    target: str
    linear: Array
    offset: Array
    cost: Array

    @classmethod
    def between(
        cls, source: str, old: LinearPoints, target: str, new: LinearPoints, *, weights: Array | None = None
    ) -> PosteriorMap:
        """From the same N points of both models, millimetres. weights: (N,) positive, of the points.

        Raises InvalidValue for different numbers of points, or too few.
        """
        count = len(old)
        if len(new) != count or count < FEWEST_POINTS:
            raise InvalidValue(
                f"the models share {count} and {len(new)} points, at least {FEWEST_POINTS} of each"
            )
        weight = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
        # The new model's frame, brought to the old one's.
        placed = best_similarity(new.mean, old.mean, weight)
        turn = placed.scale * placed.rotation
        mean = placed.apply(new.mean)
        root = np.repeat(np.sqrt(weight), 3)
        beside = _orthonormal(_similarity_directions(old.mean) * root[:, None])

        def reduced(matrix: Array) -> Array:
            """Whitened by the weights, without what a similarity could do."""
            tall = matrix.reshape(3 * count, -1) * root[:, None]
            return np.asarray(tall - beside @ (beside.T @ tall))

        seen = np.linalg.pinv(reduced(old.identity), rcond=RANK)
        linear = seen @ reduced(np.einsum("ij,njl->nil", turn, new.identity))
        offset = (seen @ reduced(mean - old.mean))[:, 0]
        lost = np.eye(len(linear)) - linear @ np.linalg.pinv(linear, rcond=RANK)
        return cls(source, target, linear, offset, lost @ lost.T)

    def apply(self, posterior: IdentityPosterior) -> IdentityPosterior:
        """In the target's coefficients, with the uncertainty that the detour costs. Raises ModelMismatch
        for a posterior of another space.
        """
        if posterior.space != self.source or len(posterior.mean) != len(self.linear):
            raise ModelMismatch(
                f"the map is from {self.source} ({len(self.linear)}), the posterior of {posterior.space} "
                f"({len(posterior.mean)})",
                next_step="Enroll the subject again.",
            )
        information, vector = posterior.evidence()
        # (R + E)⁻¹ with R⁻¹ the information, which may be singular: J (I + E J)⁻¹.
        mixed = np.linalg.inv(np.eye(len(information)) + self.cost @ information)
        kept = information @ mixed
        kept = (kept + kept.T) / 2
        # The information vector of x is J x; of what remains after E, (I + J E)⁻¹ J x.
        seen = mixed.T @ vector
        return IdentityPosterior.from_evidence(
            self.target, self.linear.T @ kept @ self.linear, self.linear.T @ (seen - kept @ self.offset)
        )


def _orthonormal(matrix: Array) -> Array:
    return np.asarray(np.linalg.qr(matrix)[0])


def _similarity_directions(points: Array) -> Array:
    """(3N, 7): how rotations about the points' center, translations and scaling move the points."""
    centered = points - points.mean(axis=0)
    axes = np.eye(3)
    parts = [np.cross(axis, centered) for axis in axes]
    parts += [np.broadcast_to(axis, centered.shape) for axis in axes]
    return np.stack([*parts, centered], axis=2).reshape(-1, 7)

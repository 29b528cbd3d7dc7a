"""The comparison score: how much likelier two observations are if one person made both than if two did.

Write an observation as information L and vector n (the posterior without the prior N(0, I)). The evidence
integral over one identity is, up to a constant of the observation alone, q(L, n) = ½ n' (L + I)⁻¹ n - ½ log
det(L + I); hence

    LLR = q(L1 + L2, n1 + n2) - q(L1, n1) - q(L2, n2),

the natural logarithm of the likelihood ratio (two-covariance model of probabilistic linear discriminant
analysis, with N(0, I) for the spread between people and each observation's own covariance within).
Symmetric in its arguments.

Each side is first corrected by what the noise table knows of its source: its mean over people is moved to
zero, its noise variance is multiplied by the source's inflation, and the spread that no fit knows of is
added to it.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from recon_service.comparison.noise import NoiseTable, SourceNoise
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import ComparisonScore


def compare(
    reference: IdentityPosterior,
    probe: IdentityPosterior,
    *,
    reference_source: str,
    probe_source: str,
    noise: NoiseTable,
) -> ComparisonScore:
    """The log-likelihood ratio of one person against two. Raises ModelMismatch for posteriors of different
    spaces.
    """
    reference.require_same_space(probe)
    first = corrected(reference, noise.of(reference_source))
    second = corrected(probe, noise.of(probe_source))
    return ComparisonScore(
        llr=log_likelihood_ratio(first, second),
        reference_source=reference_source,
        probe_source=probe_source,
        calibration=noise.name,
    )


def corrected(posterior: IdentityPosterior, source: SourceNoise) -> tuple[Array, Array]:
    """Information (K, K) and vector (K,) of the observation after centering, inflating and spreading.

    With noise covariance N = L⁻¹, the spread s makes it N + s²I, that is L' = (I + s²L)⁻¹ L and n' = (I +
    s²L)⁻¹ n, which needs no inverse of L (directions that were not observed have none).
    """
    information, vector = posterior.evidence()
    identity = np.eye(len(vector))
    if source.center is not None:
        # The center is a mean of posterior means: move the posterior mean and keep the information.
        vector = vector - (information + identity) @ source.center
    information, vector = information / source.inflation, vector / source.inflation
    if source.spread > 0:
        damping = np.linalg.inv(identity + source.spread**2 * information)
        information, vector = damping @ information, damping @ vector
        information = (information + information.T) / 2
    return information, vector


def log_likelihood_ratio(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """LLR of two observations given as (information, vector); see the module's formula."""
    (l1, n1), (l2, n2) = first, second
    return _evidence_integral(l1 + l2, n1 + n2) - _evidence_integral(l1, n1) - _evidence_integral(l2, n2)


def _evidence_integral(information: Array, vector: Array) -> float:
    factor = np.linalg.cholesky(information + np.eye(len(vector)))
    half = scipy.linalg.solve_triangular(factor, vector, lower=True, check_finite=False)
    return float(0.5 * half @ half - np.log(np.diag(factor)).sum())

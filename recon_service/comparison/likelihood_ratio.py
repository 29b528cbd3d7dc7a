"""The comparison score: how much likelier two observations are if one person made both than if two did.

Write an observation as information L and vector n (the posterior without the prior N(0, I)). The evidence integral over one
identity is, up to a constant of the observation alone, q(L, n) = ½ n' (L + I)⁻¹ n - ½ log det(L + I); hence

    LLR = q(L1 + L2, n1 + n2) - q(L1, n1) - q(L2, n2),

the natural logarithm of the likelihood ratio (two-covariance model of probabilistic linear discriminant analysis, with N(0, I) for
the spread between people and each observation's own covariance within). Symmetric in its arguments.

Each side is first corrected by what the noise table knows of its source: its mean over people is moved to zero and its noise
variance is multiplied by the source's inflation.
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
    """The log-likelihood ratio of one person against two. Raises ModelMismatch for posteriors of different spaces."""
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
    """Information (K, K) and vector (K,) of the observation after centering on the source's mean and inflating its noise."""
    information, vector = posterior.evidence()
    if source.center is not None:
        # What the prior shrank is shrunk for the source's bias too: move the posterior mean, keep the information.
        vector = vector - (information + np.eye(len(vector))) @ source.center
    return information / source.inflation, vector / source.inflation


def log_likelihood_ratio(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """LLR of two observations given as (information, vector); see the module's formula."""
    (l1, n1), (l2, n2) = first, second
    return _evidence_integral(l1 + l2, n1 + n2) - _evidence_integral(l1, n1) - _evidence_integral(l2, n2)


def _evidence_integral(information: Array, vector: Array) -> float:
    factor = np.linalg.cholesky(information + np.eye(len(vector)))
    half = scipy.linalg.solve_triangular(factor, vector, lower=True, check_finite=False)
    return float(0.5 * half @ half - np.log(np.diag(factor)).sum())

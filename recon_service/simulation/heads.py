"""Heads with known identity: samples of the canonical model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.rendering.subdivision import fine_enough

WAVES = 64
"""Random waves that make up a displacement field; enough for it to be close to Gaussian."""


@dataclass(frozen=True, slots=True)
class SampledHead:
    """A head given as truth: its coefficients, and its displacement off the model (V, 3) in millimetres, head
    frame.
    """

    model: MorphableModel
    identity: Array
    displacement: Array

    def mesh(self, expression: Array | None = None) -> Mesh:
        """The head with this expression (None: neutral), head frame, vertex for vertex as the model."""
        face = self.model.mesh(self.identity, expression)
        return Mesh(face.vertices + self.displacement, face.triangles)

    def surface(self, expression: Array | None = None) -> Mesh:
        """The same for a depth camera: the coarse built-in model subdivided, so that it looks like skin and
        not like facets.

        The subdivided surface is then the truth, and lies up to some tenths of a millimetre inside the coarse
        one.
        """
        return fine_enough(self.mesh(expression))


def sample_head(
    model: MorphableModel,
    rng: np.random.Generator,
    *,
    displacement_mm: float = 0.0,
    extent_mm: float = 15.0,
) -> SampledHead:
    """A head with identity ~ N(0, I), the model's prior.

    displacement_mm: standard deviation of a smooth random displacement along the normals that no coefficient
    explains, over patches of ``extent_mm``; 0.7 mm is about what 60 of the 100 modes leave unexplained.
    """
    identity = rng.standard_normal(model.identity_modes)
    displacement = np.zeros_like(model.vertices.mean)
    if displacement_mm > 0:
        field = displacement_mm * smooth_field(model.vertices.mean, extent_mm, rng)
        displacement = field[:, None] * model.vertices.normals
    return SampledHead(model, identity, displacement)


def sample_expression(model: MorphableModel, rng: np.random.Generator, *, sd: float = 0.3) -> Array:
    """Expression coefficients (E,) ~ N(0, sd²): 0.3 is a face at rest that is not quite still."""
    return np.asarray(sd * rng.standard_normal(model.expression_modes))


def smooth_field(points: Array, extent: float, rng: np.random.Generator) -> Array:
    """A random function of space at points (N, 3): zero mean, unit variance, correlation exp(-r² / (2
    extent²)).

    Random Fourier features of the Gaussian kernel (Rahimi and Recht, NIPS 2007): √(2/M) Σ g cos(w·x + φ).
    """
    waves = rng.standard_normal((WAVES, 3)) / extent
    phases = rng.uniform(0, 2 * np.pi, WAVES)
    amplitudes = rng.standard_normal(WAVES)
    return np.asarray(np.cos(points @ waves.T + phases) @ amplitudes * np.sqrt(2 / WAVES))

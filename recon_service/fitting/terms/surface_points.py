"""Surface points: a reconstructed neutral mesh in dense correspondence; the residual is a distance in mm.

A reconstruction model gives its mesh x_i in a frame and at a scale of its own. With the canonical model's
points y_i(a) = m_i + B_i a, the observation is

    s R x_i + t = y_i(a) + noise,   noise ~ N(0, sd_i² I),

and s, R, t are unknown nuisances with a flat prior. They belong to this term alone, so they are eliminated
inside it and the solver's layout knows nothing of them:

1. At the current a, the similarity that minimizes sum_i |s R x_i + t - y_i|² / sd_i² has a closed form
   (weighted Procrustes: Umeyama, "Least-squares estimation of transformation parameters between two point
   patterns", 1991). Let z_i = s R x_i + t and r_i = z_i - y_i.
2. A small change of the similarity moves z_i by  dw x z_i + dt + ds z_i :  seven columns N (3N, 7). With W
   the whitening and Q an orthonormal basis of W N, integrating the seven unknowns out of the Gaussian leaves
   the residual and the Jacobian (of the prediction y) projected beside them (the Schur complement of the
   block of the nuisances):

       r' = (I - Q Qᵀ) W r,    J' = (I - Q Qᵀ) W B.

   r' = W r at the minimum of step 1: the seven conditions of optimality are that W r is orthogonal to Q.
   So J'ᵀ r' = Bᵀ W² r, which by the envelope theorem is exactly the gradient of the cost with the
   similarity minimized out; J'ᵀ J' is Gauss-Newton's matrix of that cost (variable projection, Kaufman's
   form), exact where the residual vanishes.

All points of a mesh err together: the information of all is scaled to the effective number of independent
ones, and divided by the inflation.
"""

from __future__ import annotations

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import FitFailed, InvalidValue
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.morphable_model import LinearPoints, MorphableModel
from recon_service.domain.similarity import best_similarity
from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.terms.term import TermReport
from recon_service.fitting.unknowns import Layout, State

SIMILARITY_UNKNOWNS = 7


class SurfacePointTerm:
    """The points of one reconstructed mesh."""

    def __init__(self, evidence: SurfacePoints, model: MorphableModel, layout: Layout) -> None:
        self.capture = None
        if evidence.triangles.max() >= len(model.triangles):
            raise InvalidValue("a surface point names a triangle that the model does not have")
        self._columns = np.arange(layout.identity.start, layout.identity.stop)
        corners = model.triangles[evidence.triangles]
        self._points: LinearPoints = model.vertices.between(corners, evidence.barycentric)
        self._observed = evidence.points
        count = len(evidence.points)
        share = min(1.0, evidence.effective_points / count) / evidence.inflation
        self._root = np.sqrt(share) / evidence.sd
        self._jacobian = (self._points.identity * self._root[:, None, None]).reshape(3 * count, -1)

    def accumulate(self, state: State, equations: NormalEquations, *, iteration: int) -> TermReport:
        residual, jacobian = self.linearized(state)
        equations.add(self._columns, jacobian, residual)
        count = len(self._root)
        distance = residual.reshape(count, 3) / self._root[:, None]
        rms = float(np.sqrt((distance**2).sum(axis=1).mean()))
        return TermReport(float(residual @ residual), 3 * count, count, rms)

    def linearized(self, state: State) -> tuple[Array, Array]:
        """Whitened residual (3N,) and Jacobian (3N, K) of the prediction, the similarity integrated out."""
        model = self._points.positions(state.identity)
        placed = aligned(self._observed, model, self._root**2)
        beside = _similarity_directions(placed) * np.repeat(self._root, 3)[:, None]
        basis, _ = np.linalg.qr(beside)
        residual = ((placed - model) * self._root[:, None]).reshape(-1)
        return residual - basis @ (basis.T @ residual), self._jacobian - basis @ (basis.T @ self._jacobian)


def aligned(points: Array, target: Array, weights: Array) -> Array:
    """Points (N, 3) after the similarity that brings them closest to target (N, 3), weights (N,)."""
    try:
        return best_similarity(points, target, weights).apply(points)
    except InvalidValue as fault:
        raise FitFailed(
            "The reconstructed mesh has no extent.", next_step="Take the picture again."
        ) from fault


def _similarity_directions(points: Array) -> Array:
    """(3N, 7) how rotations about the points' center, translations and scaling move the points."""
    centered = points - points.mean(axis=0)
    axes = np.eye(3)
    parts = [np.cross(axis, centered) for axis in axes]
    parts += [np.broadcast_to(axis, centered.shape) for axis in axes]
    return np.stack([*parts, centered], axis=2).reshape(-1, SIMILARITY_UNKNOWNS)

"""Surface matches between two images: the same skin seen at a pixel of view i and at a pixel of view j.

No landmark meaning is needed: the skin is wherever the ray of view i meets the surface, and when the shape
changes the point slides along the surface so that it stays on that ray. With, at the current estimate,

    X  = R_i (B a + B_ex e_i) + t_i      the point of the matched triangle, camera i,
    n                                    normal of that triangle, camera i (held while linearizing),
    d  = ((u_i - c)/f, 1)                the ray of view i,
    P  = d (n·X)/(n·d)                   where the ray meets the triangle's plane,
    s  = P - X                           the slide, camera i,
    Y  = R_j (B a + B_ex e_j) + t_j + R_j R_iᵀ s      the same skin, camera j,

the residual is u_j - proj(Y), and with Q = d nᵀ/(n·d) - I

    dY = R_j B da + R_j B_ex de_j + w_j x (Y - t_j) + dt_j
         + R_j R_iᵀ [ Q (R_i B da + R_i B_ex de_i + w_i x (X - t_i) + dt_i) - w_i x s + dP/d(log f_i) ]

    dP/d(log f) = (n·X)/(n·d) (d' - d (n·d')/(n·d)),  d' = (-d_x, -d_y, 0);   du/d(log f_j) = u - c.

The derivative of s with respect to n is proportional to s itself, which vanishes at the solution: n may be
held. Weights are Cauchy's. Neighboring matches err together, so all of a pair count no more than its
effective number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import AnyArray, Array, crossed
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture, SurfaceMatches
from recon_service.domain.morphable_model import LinearPoints, MorphableModel
from recon_service.fitting.normal_equations import NormalEquations, squared
from recon_service.fitting.precisions import Precisions
from recon_service.fitting.terms.term import TermReport
from recon_service.fitting.unknowns import Layout, State

CAUCHY = 2.0
"""Scale of the robust weight, in standard deviations of a match."""
GATE = 12.0
"""A match farther off than this many standard deviations has no say."""


class SurfaceMatchTerm:
    """The matches of one pair of captures."""

    def __init__(
        self,
        captures: tuple[Capture, Capture],
        matches: SurfaceMatches,
        model: MorphableModel,
        layout: Layout,
    ) -> None:
        self.capture = None
        self._i, self._j = matches.first, matches.second
        self._layout = layout
        self._matches = matches
        corners = model.triangles[matches.triangles]
        self._corners: LinearPoints = model.vertices.take(corners.reshape(-1))
        self._points = self._corners.merged(matches.barycentric)
        self._bases = Precisions(self._points.identity, self._points.expression)
        self._rays, _ = _ideal(captures[0].camera, matches.first_pixels)
        observed, self._focal_j = _ideal(captures[1].camera, matches.second_pixels)
        self._observed = observed * self._focal_j
        self._columns = self._column_indices()
        self._place = {int(column): place for place, column in enumerate(self._columns)}

    def accumulate(self, state: State, equations: NormalEquations, *, iteration: int) -> TermReport:
        rows = self._rows(state, equations.precision)
        sd = self._matches.sd
        length = np.linalg.norm(rows[..., -1], axis=1) / sd
        weight = np.where(length < GATE, 1.0 / (1.0 + (length / CAUCHY) ** 2), 0.0)
        share = min(1.0, self._matches.effective_matches / len(length))
        rows *= (np.sqrt(weight * share) / sd).astype(rows.dtype)[:, None, None]
        product = squared(rows.reshape(2 * len(rows), -1))
        equations.add_product(self._columns, product)
        return TermReport(float(product[-1, -1]), 2 * len(length), int((weight > 0).sum()))

    def linearized(self, state: State) -> tuple[Array, Array]:
        """Residual (N, 2) pixels and Jacobian (N, 2, columns) of the prediction."""
        rows = self._rows(state, np.float64)
        return rows[..., -1], rows[..., :-1]

    def _rows(self, state: State, precision: type[np.floating[Any]]) -> AnyArray:
        """(N, 2, columns + 1): the Jacobian with the residual beside it, in one array written once."""
        i, j = self._i, self._j
        pose_i, pose_j = state.poses[i], state.poses[j]
        factor_i, factor_j = state.focal_factor(self._layout, i), state.focal_factor(self._layout, j)
        points = self._points
        turned_i = points.positions(state.identity, state.expressions[i]) @ pose_i.rotation.T
        turned_j = points.positions(state.identity, state.expressions[j]) @ pose_j.rotation.T
        x = turned_i + pose_i.translation
        normal = self._normals(state) @ pose_i.rotation.T
        ray = np.concatenate([self._rays / factor_i, np.ones((len(x), 1))], axis=1)
        across = np.einsum("nc,nc->n", normal, ray)
        reach = np.einsum("nc,nc->n", normal, x) / across
        slide = ray * reach[:, None] - x
        between = pose_j.rotation @ pose_i.rotation.T
        carried = turned_j + slide @ between.T
        y = carried + pose_j.translation

        focal = self._focal_j * factor_j
        predicted = focal * y[:, :2] / y[:, 2:]
        projection = np.zeros((len(x), 2, 3))
        projection[:, 0, 0], projection[:, 0, 2] = focal[0] / y[:, 2], -predicted[:, 0] / y[:, 2]
        projection[:, 1, 1], projection[:, 1, 2] = focal[1] / y[:, 2], -predicted[:, 1] / y[:, 2]

        onto_plane = ray[:, :, None] * (normal / across[:, None])[:, None, :] - np.eye(3)
        from_i = projection @ between
        slid = from_i @ onto_plane
        head_i = (slid @ pose_i.rotation).astype(precision, copy=False)
        head_j = (projection @ pose_j.rotation).astype(precision, copy=False)
        identity, expression = self._bases.of(precision)
        k, e = identity.shape[2], expression.shape[2]
        rows = np.empty((len(x), 2, len(self._columns) + 1), dtype=precision)
        np.matmul(head_i + head_j, identity, out=rows[..., :k])
        own, other = rows[..., k : k + e + 6], rows[..., k + e + 6 : k + 2 * e + 12]
        np.matmul(head_i, expression, out=own[..., :e])
        own[..., e : e + 3] = crossed(turned_i[:, None, :], slid) - crossed(slide[:, None, :], from_i)
        own[..., e + 3 :] = slid
        np.matmul(head_j, expression, out=other[..., :e])
        other[..., e : e + 3] = crossed(carried[:, None, :], projection)
        other[..., e + 3 :] = projection
        # One phone may have taken both pictures: its focal length then acts on both ends of the match.
        rows[..., k + 2 * e + 12 :] = 0.0
        if (of_i := self._layout.focal_of[i]) is not None:
            bent = np.concatenate([-ray[:, :2], np.zeros((len(x), 1))], axis=1)
            turn = np.einsum("nc,nc->n", normal, bent) / across
            moved = reach[:, None] * (bent - ray * turn[:, None])
            rows[..., self._place[of_i]] += np.einsum("nkc,nc->nk", from_i, moved)
        if (of_j := self._layout.focal_of[j]) is not None:
            rows[..., self._place[of_j]] += predicted
        rows[..., -1] = self._observed - predicted
        return rows

    def _normals(self, state: State) -> Array:
        """Unit normals (N, 3) of the matched triangles in the head frame, expression of view i."""
        corners = self._corners.positions(state.identity, state.expressions[self._i]).reshape(-1, 3, 3)
        normal = crossed(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))

    def _column_indices(self) -> NDArray[np.int64]:
        layout, i, j = self._layout, self._i, self._j
        slices = [layout.identity, layout.expression(i), layout.pose(i), layout.expression(j), layout.pose(j)]
        columns = [np.arange(s.start, s.stop) for s in slices]
        focals = dict.fromkeys(c for c in (layout.focal_of[i], layout.focal_of[j]) if c is not None)
        return np.concatenate([*columns, np.array(list(focals), dtype=np.int64)])


def _ideal(camera: PinholeCamera, pixels: Array) -> tuple[Array, Array]:
    """Undistorted pixels over the focal length (N, 2), and the focal lengths (2,)."""
    return camera.rays(pixels)[:, :2], np.array([camera.fx, camera.fy])

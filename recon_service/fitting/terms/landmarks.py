"""Landmarks: the residual is the reprojection error in pixels, whitened by the landmark model's covariance.

With X = mean + B_id a + B_ex e (head frame), X_c = R X + t and u = f x/z + c, the derivatives are

    du/da = P R B_id,   du/de = P R B_ex,   du/d(w, t) = P [-skew(R X), I],   du/d(log f) = u - c,

where P = [[f/z, 0, -f x/z²], [0, f/z, -f y/z²]] and w rotates in the camera frame about the head's origin.
A landmark that is farther off than OUTLIER standard deviations gets extra noise of its own, independent of
its neighbors, that grows so fast with the residual that a wild landmark loses its say.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsm, strsm

from recon_service.domain.arrays import AnyArray, Array, crossed
from recon_service.domain.evidence import Capture, LandmarkEvidence
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import LinearPoints
from recon_service.domain.pose import HeadPose
from recon_service.fitting.normal_equations import NormalEquations, squared
from recon_service.fitting.precisions import Precisions
from recon_service.fitting.terms.term import TermReport
from recon_service.fitting.unknowns import Layout, State

Rows = NDArray[np.int64]

EVERY = 2
"""Every second usable landmark is enough: neighbors err together."""
EVERY_ON_THE_WAY = 4
"""For a fit that the next one starts from. Not where it ends: there, with every fourth, scores of genuine
visits fell (docs/adr/0172).
"""

NUGGET = 0.1
"""Added to the diagonal of the correlation matrix: the learned covariance has directions with nearly no
noise.
"""

OUTLIER = 4.0
"""Length of a residual, in standard deviations of one coordinate, beyond which a landmark is mistrusted."""
MIN_FACING = 0.25
"""Cosine between normal and line of sight under which a landmark counts as hidden."""


class LandmarkTerm:
    """Landmarks of one capture. images: how many pictures of the person take part in the fit. every: of the
    usable landmarks one in so many, where the evidence names none.
    """

    def __init__(
        self,
        capture_index: int,
        capture: Capture,
        evidence: LandmarkEvidence,
        model: LandmarkModel,
        layout: Layout,
        *,
        start: HeadPose,
        images: int,
        every: int = EVERY,
    ) -> None:
        self.capture = capture_index
        self._layout = layout
        self._columns = layout.columns(capture_index)
        rows = _visible(model, _chosen(model, evidence, every), start)
        self._points: LinearPoints = model.points.take(rows)
        self._bases = Precisions(self._points.identity, self._points.expression)
        camera = capture.camera
        # Distortion is undone once: from here on the camera is an ideal pinhole with its principal point at
        # 0.
        self._observed = camera.rays(evidence.landmarks.points[rows])[:, :2] * [camera.fx, camera.fy]
        self._focal = np.array([camera.fx, camera.fy])
        n = len(rows)
        self._root: Precisions | None = None
        if evidence.independent_sd is None:
            sd, correlation = model.noise(images=images)
            self._sd = sd[rows]
            chosen = correlation.take(rows, axis=0).take(rows, axis=1)
            chosen[np.diag_indices(n)] += NUGGET
            self._root = Precisions(np.linalg.cholesky(chosen))
        else:
            self._sd = np.full(n, evidence.independent_sd)
        self._information = evidence.information

    def accumulate(self, state: State, equations: NormalEquations, *, iteration: int) -> TermReport:
        i, points = self.capture, self._points
        pose = state.poses[i]
        focal = self._focal * state.focal_factor(self._layout, i)
        turned = points.positions(state.identity, state.expressions[i]) @ pose.rotation.T
        x, y, z = (turned + pose.translation).T
        predicted = np.stack([focal[0] * x / z, focal[1] * y / z], axis=1)
        residual = self._observed - predicted
        sd_px = self._sd * focal.mean() / pose.translation[2]

        # Everything is made in units of its own noise, in one array: the columns of the Jacobian, and the
        # residual last.
        identity, expression = self._bases.of(equations.precision)
        n, k, e = len(z), identity.shape[2], expression.shape[2]
        projection = np.zeros((n, 2, 3))
        projection[:, 0, 0], projection[:, 0, 2] = focal[0] / z, -predicted[:, 0] / z
        projection[:, 1, 1], projection[:, 1, 2] = focal[1] / z, -predicted[:, 1] / z
        projection /= sd_px[:, None, None]
        rotated = (projection @ pose.rotation).astype(equations.precision, copy=False)
        rows = np.empty((n, 2, len(self._columns) + 1), dtype=equations.precision)
        np.matmul(rotated, identity, out=rows[..., :k])
        np.matmul(rotated, expression, out=rows[..., k : k + e])
        rows[..., k + e : k + e + 3] = crossed(turned[:, None, :], projection)
        rows[..., k + e + 3 : k + e + 6] = projection
        if self._layout.focal_of[i] is not None:
            rows[..., -2] = predicted / sd_px[:, None]
        rows[..., -1] = residual / sd_px[:, None]

        white = self._whitened(rows.reshape(n, -1))
        product = squared(white.reshape(2 * n, -1))
        extra = (np.linalg.norm(residual, axis=1) / (OUTLIER * sd_px)) ** 4 - 1.0
        wild = np.flatnonzero(extra > 0)
        if len(wild):
            product -= self._mistrusted(white, wild, extra[wild])
        product *= self._information
        equations.add_product(self._columns, product)
        return TermReport(float(product[-1, -1]), 2 * n, n)

    def _whitened(self, rows: AnyArray) -> AnyArray:
        """inv(L) of rows (N, K), where L L' is the correlation of the noise. Writes over the rows."""
        if self._root is None:
            return rows
        (root,) = self._root.of(rows.dtype.type)
        solved = strsm if rows.dtype == np.float32 else dtrsm
        # The transposes are what BLAS calls ordered: nothing is copied.
        return np.asarray(solved(1.0, root.T, rows.T, side=1, lower=0, overwrite_b=1).T)

    def _mistrusted(self, white: AnyArray, wild: Rows, extra: Array) -> AnyArray:
        """What the products of whitened rows (N, 2 · columns) lose when the wild landmarks get noise of their
        own, of ``extra`` variances: by Woodbury's identity, with C the correlation and U the wild columns of
        the identity,

            inv(C) - inv(C + U D U') = inv(C) U inv(inv(D) + U' inv(C) U) U' inv(C).
        """
        marks = np.zeros((len(white), len(wild)), dtype=white.dtype)
        marks[wild, np.arange(len(wild))] = 1.0
        held = self._whitened(marks)
        inner = held.T @ held
        inner[np.diag_indices(len(wild))] += 1.0 / extra
        root = np.linalg.cholesky(inner)
        lost = scipy.linalg.solve_triangular(root, held.T @ white, lower=True, check_finite=False)
        return squared(lost.reshape(2 * len(wild), -1))


def _chosen(model: LandmarkModel, evidence: LandmarkEvidence, every: int) -> Rows:
    if evidence.rows is not None:
        return np.asarray(evidence.rows, dtype=np.int64)
    return np.asarray(np.flatnonzero(model.usable)[::every], dtype=np.int64)


def _visible(model: LandmarkModel, rows: Rows, pose: HeadPose) -> Rows:
    """The rows whose surface faces the camera in this pose."""
    points = pose.apply(model.points.mean[rows])
    normals = model.points.normals[rows] @ pose.rotation.T
    facing = -np.einsum("ni,ni->n", normals, points) / np.linalg.norm(points, axis=1)
    return np.asarray(rows[facing > MIN_FACING])

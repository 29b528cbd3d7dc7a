"""A depth map: the residual is the distance in mm from a model point to the measured surface along the
model's normal.

Projective association: a model point X_c projects to a pixel; P is the measured point on the same line of
sight, and r = n · (P - X_c). With the mean's normals n_h (head frame, n = R n_h) the derivatives of
the prediction n · X_c are

    d/da = n_h · B_id,   d/de = n_h · B_ex,   d/d(w, t) = [R X x n, n],

so the shape part of the Jacobian is constant and computed once. (Normals taken anew from the current shape
found simulated heads better and real ones not: docs/adr/0035.) Cauchy
weights; the gate narrows from 25 to 8 mm. Neighboring pixels err together: the information of all points is
scaled to the effective number of independent ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, crossed
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.evidence import Capture, DepthSurfaceEvidence
from recon_service.domain.morphable_model import MorphableModel
from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.terms.term import TermReport
from recon_service.fitting.unknowns import Layout, State

GATES_MM = (25.0, 20.0, 15.0, 12.0, 8.0)
MIN_FACING = 0.3
MIN_ALIKE = 0.5
"""Cosine between the model's and the measured normal under which they are not the same piece of skin."""
SETTLING_ITERATIONS = 6
"""Iterations in which the robust scale follows the residuals; afterwards it follows the assumed noise."""


class DepthSurfaceTerm:
    """The depth map of one capture."""

    def __init__(
        self,
        capture_index: int,
        capture: Capture,
        evidence: DepthSurfaceEvidence,
        model: MorphableModel,
        layout: Layout,
    ) -> None:
        self.capture = capture_index
        self._layout = layout
        self._camera = capture.camera
        self._evidence = evidence
        self._points = model.surface_points
        self._shape_jacobian = model.surface_motion
        columns = layout.columns(capture_index)
        self._columns = columns[: len(columns) - (layout.focal_of[capture_index] is not None)]

    def accumulate(self, state: State, equations: NormalEquations, *, iteration: int) -> TermReport:
        pose = state.poses[self.capture]
        turned = self._points.positions(state.identity, state.expressions[self.capture]) @ pose.rotation.T
        points = turned + pose.translation
        normals = self._points.normals @ pose.rotation.T
        depth, seen = depth_at(self._evidence.depth, self._camera, points)
        facing = -np.einsum("ni,ni->n", normals, points) / np.linalg.norm(points, axis=1)
        along = np.einsum("ni,ni->n", normals, points)
        residual = along * (depth / points[:, 2] - 1.0)
        seen &= self._alike(points, normals)
        gate = GATES_MM[min(iteration, len(GATES_MM) - 1)]
        used = np.flatnonzero(seen & (facing > MIN_FACING) & (np.abs(residual) < gate))
        if len(used) == 0:
            return TermReport(0.0, 0, 0, None)
        residual, facing = residual[used], facing[used]

        sd = self._evidence.sd
        spread = 1.4826 * float(np.median(np.abs(residual)))
        scale = max(3.0 * sd, 2.0 * spread) if iteration < SETTLING_ITERATIONS else 2.5 * sd
        weight = facing / (1.0 + (residual / scale) ** 2)
        # Each point counts effective_points / all points of the model; half a face in view has half the
        # information.
        share = min(1.0, self._evidence.effective_points / len(self._points))
        root = np.sqrt(weight * share) / sd
        jacobian = np.concatenate(
            [self._shape_jacobian[used], crossed(turned[used], normals[used]), normals[used]], axis=1
        )
        jacobian *= root[:, None]
        whitened = residual * root
        equations.add(self._columns, jacobian, whitened)
        rms = float(np.sqrt((weight * residual**2).sum() / weight.sum()))
        return TermReport(float(whitened @ whitened), len(used), len(used), rms)

    def _alike(self, points: Array, normals: Array) -> NDArray[np.bool_]:
        """(N,) False where the measured surface faces another way than the model's: an ear is not a cheek."""
        measured = self._evidence.normals
        if measured is None:
            return np.ones(len(points), dtype=bool)
        height, width = measured.shape[:2]
        column, row = np.round(self._camera.project(points)).astype(np.int64).T
        there = measured[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        unknown = ~there.any(axis=1)
        return np.asarray(unknown | (np.einsum("nc,nc->n", there, normals) > MIN_ALIKE))

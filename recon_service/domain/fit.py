"""What the solver returns."""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior


@dataclass(frozen=True, slots=True)
class CaptureFit:
    """The nuisance unknowns of one capture after the fit.

    pose: head to camera. expression: (E,). camera: with the fitted focal length. residual_rms: in units of
    the assumed noise (1 is as expected). used_points: landmarks and depth points that took part.
    residual_mm: robust rms of the depth surface, or None.
    """

    pose: HeadPose
    expression: Array
    camera: PinholeCamera
    residual_rms: float
    used_points: int
    residual_mm: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """The identity posterior and, in the order of the captures, their nuisances."""

    posterior: IdentityPosterior
    captures: tuple[CaptureFit, ...]

    def mesh(self, model: MorphableModel, *, capture: int | None = None) -> Mesh:
        """The most probable face, head frame: neutral, or with the expression of one capture."""
        expression = None if capture is None else self.captures[capture].expression
        return model.mesh(self.posterior.mean, expression)

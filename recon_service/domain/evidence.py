"""Evidence about an identity: what was observed, with its uncertainty, ready for the solver.

A capture is one moment of one camera: everything seen in it shares one head pose and one expression. The
solver takes any number of captures with any mix of evidence. New kinds of evidence (surface matches between
images, points of a reconstructed mesh) are new value types here and new terms in ``fitting/terms``; nothing
else changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.pose import HeadPose


@dataclass(frozen=True, slots=True)
class LandmarkEvidence:
    """Landmarks seen in an image.

    information: 1 trusts the landmark model's covariance; 0.05 counts it as a twentieth. rows: the
    landmarks that take part, or None for every usable one. independent_sd: None for the landmark model's
    covariance; else the standard deviation in mm at the face of each coordinate of each landmark, taken as
    independent of each other.
    """

    landmarks: FaceLandmarks
    information: float = 1.0
    rows: tuple[int, ...] | None = None
    independent_sd: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.information <= 1e3:
            raise InvalidValue(
                f"the information weight of landmarks must be positive, not {self.information:g}"
            )
        if self.independent_sd is not None and not 0.0 < self.independent_sd < 1e3:
            raise InvalidValue(f"a landmark standard deviation must be positive, not {self.independent_sd:g}")
        count = len(self.landmarks.points)
        if self.rows is not None and not all(0 <= row < count for row in self.rows):
            raise InvalidValue("a row names a landmark that does not exist")


@dataclass(frozen=True, slots=True)
class DepthSurfaceEvidence:
    """A cleaned depth map around a face.

    depth: (H, W) mm, 0 where nothing trustworthy was measured. sd: noise per pixel in mm at the face.
    effective_points: how many independent measurements the noise leaves (neighbors are correlated).
    normals: (H, W, 3) unit normals of the measured surface, camera frame, zero where unknown; or None.
    """

    depth: Array
    sd: float
    effective_points: float
    normals: Array | None = None

    def __post_init__(self) -> None:
        finite(shaped(self.depth, "depth", None, None), "depth")
        if self.normals is not None:
            finite(shaped(self.normals, "normals", *self.depth.shape, 3), "normals")
        if not (np.isfinite(self.sd) and self.sd > 0 and self.effective_points > 0):
            raise InvalidValue("depth noise and the effective number of points must be positive")


@dataclass(frozen=True, slots=True)
class SurfaceMatches:
    """The same skin seen in two captures.

    first, second: indices of the captures. triangles: (N,) triangles of the model that the rays of the
    first view meet. barycentric: (N, 3) where on them. first_pixels, second_pixels: (N, 2). sd: standard
    deviation in pixels of each coordinate of a match. effective_matches: how many independent matches the
    errors leave.
    """

    first: int
    second: int
    triangles: NDArray[np.int64]
    barycentric: Array
    first_pixels: Array
    second_pixels: Array
    sd: float
    effective_matches: float

    def __post_init__(self) -> None:
        n = len(self.triangles)
        if self.first == self.second or n == 0:
            raise InvalidValue("surface matches join two different captures by at least one match")
        finite(shaped(self.barycentric, "barycentric weights", n, 3), "barycentric weights")
        finite(shaped(self.first_pixels, "pixels of the first view", n, 2), "pixels of the first view")
        finite(shaped(self.second_pixels, "pixels of the second view", n, 2), "pixels of the second view")
        if not (np.isfinite(self.sd) and self.sd > 0 and self.effective_matches > 0):
            raise InvalidValue("the noise and the effective number of matches must be positive")


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """A reconstructed neutral face, in dense correspondence with the canonical model.

    source: which backend made it. points: (N, 3) mm, in a frame and at a scale of its own: rotation,
    translation and scale are unknown to the solver. triangles: (N,) triangles of the canonical model and
    barycentric: (N, 3) where on them the points lie. sd: (N,) standard deviation in mm of each coordinate.
    effective_points: how many independent points the errors leave (a network errs smoothly).
    inflation: factor on the covariance, learned on other people (1: the noise is as stated).
    """

    source: str
    points: Array
    triangles: NDArray[np.int64]
    barycentric: Array
    sd: Array
    effective_points: float
    inflation: float = 1.0

    def __post_init__(self) -> None:
        n = len(self.points)
        if n < 4:
            raise InvalidValue(f"surface points hold at least four points, not {n}")
        finite(shaped(self.points, "surface points", None, 3), "surface points")
        shaped(self.triangles, "triangles of surface points", n)
        if self.triangles.min() < 0:
            raise InvalidValue("a surface point names a triangle that does not exist")
        finite(shaped(self.barycentric, "barycentric weights", n, 3), "barycentric weights")
        if not (finite(shaped(self.sd, "noise of surface points", n), "noise of surface points") > 0).all():
            raise InvalidValue("the noise of surface points must be positive")
        if not (np.isfinite([self.effective_points, self.inflation]).all() and self.effective_points > 0):
            raise InvalidValue("the effective number of surface points must be positive")
        if self.inflation < 1.0:
            raise InvalidValue(f"an inflation is at least 1, not {self.inflation:g}")


Evidence = LandmarkEvidence | DepthSurfaceEvidence


@dataclass(frozen=True, slots=True)
class Capture:
    """One moment of one camera.

    source: what made it, the key of its noise inflation ("facemesh", "kinect2", …). camera: intrinsics.
    log_focal_sd: standard deviation of log(true focal / camera.fx), 0 when calibrated. start: initial head
    pose, or None when the landmarks give it.
    """

    source: str
    camera: PinholeCamera
    evidence: tuple[Evidence, ...]
    log_focal_sd: float = 0.0
    start: HeadPose | None = None

    def __post_init__(self) -> None:
        if not self.evidence:
            raise InvalidValue("a capture without evidence says nothing")
        if not 0.0 <= self.log_focal_sd <= 1.0:
            raise InvalidValue(f"log_focal_sd must lie between 0 and 1, not {self.log_focal_sd:g}")

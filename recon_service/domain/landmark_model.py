"""What a landmark detector sees of the canonical surface.

A landmark of a person with identity a and expression e is seen at

    proj(mean + offset + (B_id + response) a + B_ex e) + noise,

where offset and response are the detector's systematic errors (it pulls every face toward the average), and
the noise has a part that is constant for the person (covariance ``shared``) and a part of its own in every
image (``per_image``), both in mm² at the face and the same for x and y. n images of one person see n·shared
+ per_image each. Learned from rendered heads; the file says how.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array, finite, shaped
from recon_service.domain.morphable_model import LinearPoints


@dataclass(frozen=True, slots=True)
class LandmarkModel:
    """Observation model of one landmark scheme on one morphable model.

    scheme: as in FaceLandmarks. points: the N apparent points, with offset and response folded in. usable:
    (N,) bool. shared, per_image: (N, N) mm².
    """

    scheme: str
    points: LinearPoints
    usable: NDArray[np.bool_]
    shared: Array
    per_image: Array
    _noise: dict[int, tuple[Array, Array]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        n = len(self.points)
        shaped(self.usable, "usable", n)
        finite(shaped(self.shared, "shared covariance", n, n), "shared covariance")
        finite(shaped(self.per_image, "per-image covariance", n, n), "per-image covariance")

    def covariance(self, rows: NDArray[np.int64], *, images: int) -> Array:
        """Covariance (M, M) in mm² of the chosen landmarks when ``images`` pictures of the person are
        fitted together.
        """
        sd, correlation = self.noise(images=images)
        return np.asarray(correlation[np.ix_(rows, rows)] * np.outer(sd[rows], sd[rows]))

    def noise(self, *, images: int) -> tuple[Array, Array]:
        """Standard deviation (N,) in mm of each landmark along one axis, and their correlation (N, N), when
        ``images`` pictures of the person are fitted together. Computed once for each number.
        """
        known = self._noise.get(images)
        if known is None:
            covariance = images * self.shared + self.per_image
            sd = np.sqrt(np.diag(covariance))
            scale = np.where(sd > 0, sd, 1.0)  # landmarks that are not usable may say nothing of their noise
            known = self._noise.setdefault(images, (sd, covariance / np.outer(scale, scale)))
        return known

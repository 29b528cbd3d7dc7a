"""A reconstructed neutral face as evidence about the canonical model, by dense correspondence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.registration import Correspondence

REGIONS: Final[Mapping[str, tuple[tuple[float, float, float], ...]]] = MappingProxyType(
    {
        "forehead": ((0, 85, 100), (40, 85, 85), (65, 70, 55)),
        "brows": ((24, 60, 103), (49, 56, 85)),
        "eyes": ((30, 34, 94),),
        "nose": ((0, 26, 113), (0, 5, 125), (12, -8, 112)),
        "cheeks": ((45, 5, 85), (65, 5, 50), (40, -15, 90)),
        "mouth": ((0, -34, 112), (20, -35, 105)),
        "jaw": ((0, -70, 100), (40, -58, 75), (62, -40, 55)),
    }
)
"""Places on the left half of the canonical mean, mm; a point belongs to the region of the nearest one."""


@dataclass(frozen=True, slots=True)
class SurfaceNoise:
    """How a backend's neutral mesh errs on the canonical model, after the best similarity.

    sd: mm of each coordinate of a point, by region. effective_points: how many independent ones the smooth
    errors leave. inflation: factor on the covariance, learned on other people (1: none).
    """

    sd: Mapping[str, float]
    effective_points: float
    inflation: float = 1.0

    def __post_init__(self) -> None:
        if set(self.sd) != set(REGIONS) or not all(value > 0 for value in self.sd.values()):
            raise InvalidValue(f"surface noise needs a positive sd for each of {', '.join(REGIONS)}")
        if not (self.effective_points > 0 and self.inflation >= 1):
            raise InvalidValue("the effective number of points must be positive, the inflation at least 1")


def load_surface_noise(path: Path) -> SurfaceNoise:
    """The table beside a backend. Raises InvalidValue for one that says something else."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return SurfaceNoise(
            {str(name): float(value) for name, value in table["sd_mm"].items()},
            float(table["effective_points"]),
            float(table["inflation"]),
        )
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as fault:
        raise InvalidValue(f"the noise table {path.name} cannot be read") from fault


def evidence_of(
    neutral: Mesh, source: str, model: MorphableModel, correspondence: Correspondence, noise: SurfaceNoise
) -> SurfacePoints:
    """The points of ``neutral`` that are partners of those which evidence of the model looks at.

    neutral: with the triangles that were registered, mm. Raises WeightsUnavailable where the correspondence
    is one with another canonical model.
    """
    if correspondence.model != model.name:
        raise WeightsUnavailable(
            f"The correspondence of {source} is with {correspondence.model}, not with {model.name}.",
            next_step=f"Run: recon weights register {source}",
        )
    pairs = correspondence.chosen(np.isin(correspondence.vertices, model.surface))
    triangles, corner = triangles_of_vertices(model.triangles, len(model.vertices))
    sd = np.array([noise.sd[name] for name in regions_of(model.vertices.mean[pairs.vertices])])
    return SurfacePoints(
        source=source,
        points=pairs.points_on(neutral),
        triangles=triangles[pairs.vertices],
        barycentric=np.eye(3)[corner[pairs.vertices]],
        # What the registration left is an error of each point's own.
        sd=np.hypot(sd, pairs.distance),
        effective_points=noise.effective_points,
        inflation=noise.inflation,
    )


def regions_of(points: Array) -> list[str]:
    """The region of each point (N, 3) of the canonical mean, mm."""
    names = [name for name, places in REGIONS.items() for _ in places]
    places = np.array([place for each in REGIONS.values() for place in each], dtype=np.float64)
    half = points.copy()
    half[:, 0] = np.abs(half[:, 0])
    nearest = np.linalg.norm(half[:, None] - places[None], axis=2).argmin(axis=1)
    return [names[index] for index in nearest]


def triangles_of_vertices(
    triangles: NDArray[np.int64], vertices: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each vertex one triangle that it is a corner of, and which corner; -1 where there is none."""
    triangle, corner = np.full(vertices, -1), np.full(vertices, -1)
    for place in range(3):
        triangle[triangles[:, place]] = np.arange(len(triangles))
        corner[triangles[:, place]] = place
    return triangle, corner

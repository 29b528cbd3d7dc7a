"""Learn how a backend's mesh errs on the canonical model, from faces whose true shape is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.similarity import best_similarity
from recon_service.reconstruction.surface_evidence import REGIONS, SurfaceNoise, regions_of


def learned_noise(
    evidences: Sequence[SurfacePoints], truths: Sequence[Array], model: MorphableModel
) -> SurfaceNoise:
    """The table from evidence and the true identity (K,) of each face on the canonical model.

    sd: root mean square of what is left after the best similarity, by region. effective_points: a network
    errs smoothly, and smooth errors look like faces: their energy along the identity modes exceeds that of
    independent errors of the same size by a factor, and so many times fewer points count. inflation: 1; it
    is for those who find the posteriors still too sure of themselves.
    """
    if not evidences or len(evidences) != len(truths):
        raise InvalidValue("noise is learned from pairs of evidence and truth")
    squares: dict[str, list[Array]] = {name: [] for name in REGIONS}
    excess = []
    for evidence, truth in zip(evidences, truths, strict=True):
        points = model.vertices.between(model.triangles[evidence.triangles], evidence.barycentric)
        target = points.positions(truth)
        away = best_similarity(evidence.points, target).apply(evidence.points) - target
        names = np.array(regions_of(points.mean))
        for name, each in squares.items():
            each.append((away[names == name] ** 2).mean(axis=1))
        modes = points.identity.reshape(-1, points.identity.shape[2])
        along = (modes.T @ away.reshape(-1)) ** 2 / (modes**2).sum(axis=0)
        excess.append(float(along.mean() / (away**2).mean()))
    found = {name: np.concatenate(each) for name, each in squares.items()}
    overall = float(np.sqrt(np.concatenate(list(found.values())).mean()))
    sd = {name: float(np.sqrt(each.mean())) if len(each) else overall for name, each in found.items()}
    count = float(np.mean([len(evidence.points) for evidence in evidences]))
    return SurfaceNoise(sd, max(count / max(float(np.mean(excess)), 1.0), 1.0))

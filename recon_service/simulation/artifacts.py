"""What every depth camera does wrong at edges, on slanted skin and on dark or shiny spots."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.simulation.depth_sensor import TrueDepth

JUMP_MM = 15.0
"""Depth that jumps by more than this between neighbors is an edge."""
EDGE_PX = 2
FLYING_REACH_MM = 60.0


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Shares of pixels that go wrong.

    flying_share, lost_share: of the pixels within two of a depth edge, how many are drawn toward the
    background (by up to 60 mm) or lost. grazing_cosine, grazing_share: of the pixels seen at a flatter angle
    than this, how many are lost. holes: mean number of round holes in the head (Poisson), hole_px: their
    least and largest radius.
    """

    flying_share: float = 0.4
    lost_share: float = 0.35
    grazing_cosine: float = 0.25
    grazing_share: float = 0.7
    holes: float = 6.0
    hole_px: tuple[int, int] = (2, 6)

    def applied(self, depth: Array, truth: TrueDepth, rng: np.random.Generator) -> Array:
        """``depth`` (H, W) with these artifacts; ``truth`` tells where the edges, the slants and the head
        are.
        """
        out = depth.copy()
        edge = self._edges(truth.depth) & (truth.depth > 0)
        fate = rng.random(depth.shape)
        flying = edge & (fate < self.flying_share)
        out[flying] += rng.random(depth.shape)[flying] * FLYING_REACH_MM
        lost = edge & (fate > 1 - self.lost_share)
        lost |= (truth.cosine < self.grazing_cosine) & (rng.random(depth.shape) < self.grazing_share)
        out[lost | self._holes(truth, rng)] = 0.0
        return out

    @staticmethod
    def _edges(depth: Array) -> NDArray[np.bool_]:
        """Within EDGE_PX of a jump in depth, on its near side and its far side."""
        size = 2 * EDGE_PX + 1
        single = depth.astype(np.float32)
        reach = np.ones((size, size), np.uint8)
        return np.asarray(cv2.dilate(single, reach) - cv2.erode(single, reach) > JUMP_MM * EDGE_PX)

    def _holes(self, truth: TrueDepth, rng: np.random.Generator) -> NDArray[np.bool_]:
        mask = np.zeros(truth.depth.shape, dtype=np.uint8)
        rows, columns = np.nonzero(truth.head)
        for _ in range(rng.poisson(self.holes) if len(rows) else 0):
            at = rng.integers(len(rows))
            radius = int(rng.integers(self.hole_px[0], self.hole_px[1] + 1))
            cv2.circle(mask, (int(columns[at]), int(rows[at])), radius, 1, thickness=-1)
        return mask > 0

"""Where each measure begins to speak of an attack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class PresentationLimits:
    """Limits of the measures, in their units; below them an attack is likelier.

    Set between real faces and simulated prints (`recon evaluate attacks`, docs/presentation_attacks.md). The
    least values of 594 real frames of eleven people are given behind each. steepness: how fast the share of
    bona fide rises above a limit, per relative excess.
    """

    plane_mm: float = 5.0  # 7.5
    cylinder_mm: float = 2.4  # 2.7
    bent_sheet_mm: float = 2.5  # 2.9
    crumpled_sheet_mm: float = 1.6  # 1.9
    nose_mm: float = 18.0  # 20.9
    relief_gain: float = 0.2  # 0.23
    together: float = 1.2  # 1.31
    returns: float = 0.5  # 1.0
    frame_change: float = 0.05
    picture: float = 0.5
    steepness: float = 12.0
    least_points: int = 150

    def __post_init__(self) -> None:
        numbers = (
            self.plane_mm,
            self.cylinder_mm,
            self.bent_sheet_mm,
            self.crumpled_sheet_mm,
            self.nose_mm,
            self.relief_gain,
            self.together,
            self.returns,
            self.frame_change,
            self.picture,
            self.steepness,
        )
        if not (np.isfinite(numbers).all() and min(numbers) > 0 and self.least_points >= 3):
            raise InvalidValue("limits of presentation measures are positive")

    def bona_fide(self, value: float, limit: float) -> float:
        """0 to 1, one half at the limit: logistic in the relative excess. A margin, not a probability: that
        would need to know how often attacks come.
        """
        excess = np.clip(self.steepness * (value / limit - 1.0), -60.0, 60.0)
        return float(1.0 / (1.0 + np.exp(-excess)))

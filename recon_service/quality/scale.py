"""From a measured value to a score of 0 to 100 and a verdict: the same four corners for every measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from recon_service.domain.errors import InvalidValue
from recon_service.domain.quality import QualityMeasure, Verdict
from recon_service.quality.components import COMPONENTS

LIMIT_SCORE: Final = 30.0
GOOD_SCORE: Final = 70.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Piecewise linear: ``worthless`` scores 0, ``limit`` 30, ``good`` 70, ``ideal`` 100; flat beyond.

    The four run in one direction, up where more is better and down where less is. Below 30 a picture is
    rejected, below 70 it is accepted with a warning.
    """

    worthless: float
    limit: float
    good: float
    ideal: float

    def __post_init__(self) -> None:
        steps = np.diff([self.worthless, self.limit, self.good, self.ideal])
        if not ((steps > 0).all() or (steps < 0).all()):
            raise InvalidValue(
                "a quality scale must rise or fall all the way, "
                f"not {self.worthless:g}, {self.limit:g}, {self.good:g}, {self.ideal:g}",
                next_step="Check the quality limits in the settings.",
            )

    def score(self, raw: float) -> float:
        """0 to 100."""
        corners = [self.worthless, self.limit, self.good, self.ideal]
        scores = [0.0, LIMIT_SCORE, GOOD_SCORE, 100.0]
        if corners[0] > corners[-1]:
            corners, scores = corners[::-1], scores[::-1]
        return float(np.interp(raw, corners, scores))


def measure(
    name: str, raw: float, unit: str, score: float, hint: str, *, code: str = "", advice: bool = False
) -> QualityMeasure:
    """The measure with the verdict that its score deserves; reason code and hint only where something is to
    be mended. advice: however low, it warns and does not reject.
    """
    if score < LIMIT_SCORE and not advice:
        verdict = Verdict.REJECTED
    elif score < GOOD_SCORE:
        verdict = Verdict.WARNING
    else:
        verdict = Verdict.GOOD
    wrong = verdict is not Verdict.GOOD
    return QualityMeasure(
        name=name,
        raw=raw,
        unit=unit,
        score=score,
        verdict=verdict,
        hint=hint if wrong else "",
        component=COMPONENTS.get(name, ""),
        code=(code or name.replace("_", "-")) if wrong else "",
        advice=advice,
    )

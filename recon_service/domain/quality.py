"""What the quality gate says about one selfie: measures with reasons, in the terms of ISO/IEC 29794-5."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Outcome of one measure."""

    GOOD = "good"
    WARNING = "warning"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class QualityMeasure:
    """One measure of one image.

    name: stable identifier ("face_count", "face_size", "sharpness", "exposure", "yaw", "pitch", "roll", …).
    raw: the measured value in ``unit``. score: 0 (useless) to 100 (ideal). hint: what the person can do,
    empty when good.
    """

    name: str
    raw: float
    unit: str
    score: float
    verdict: Verdict
    hint: str = ""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All measures of one image; the image is accepted unless a measure rejects it."""

    measures: tuple[QualityMeasure, ...]

    @property
    def accepted(self) -> bool:
        return all(m.verdict is not Verdict.REJECTED for m in self.measures)

    @property
    def reasons(self) -> tuple[QualityMeasure, ...]:
        """The measures that reject, worst first."""
        return tuple(
            sorted((m for m in self.measures if m.verdict is Verdict.REJECTED), key=lambda m: m.score)
        )

    @property
    def score(self) -> float:
        """The weakest measure's score, 0 to 100: a chain is as strong as its weakest link."""
        return min((m.score for m in self.measures), default=0.0)

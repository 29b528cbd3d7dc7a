"""What the quality gate says about one selfie: measures with reasons, in the terms of ISO/IEC 29794-5."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

POSE = ("yaw", "pitch", "roll", "views")
"""The measures of how the head is turned, alone and among the pictures of one enrollment."""


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
    empty when good. component: the standard's name for what is measured, empty where it has none. code: the
    reason, for programs, empty when good. advice: it warns and never rejects.
    """

    name: str
    raw: float
    unit: str
    score: float
    verdict: Verdict
    hint: str = ""
    component: str = ""
    code: str = ""
    advice: bool = False


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
    def hints(self) -> tuple[str, ...]:
        """What the person can do, each once: what rejects first, then what may reject, then advice; the
        worst first.
        """
        told = sorted(
            (m for m in self.measures if m.hint),
            key=lambda m: (m.verdict is not Verdict.REJECTED, m.advice, m.score),
        )
        return tuple(dict.fromkeys(m.hint for m in told))

    @property
    def score(self) -> float:
        """The weakest gate's score, 0 to 100: a chain is as strong as its weakest link. Advice is left
        out: a picture with an open mouth is not a poor one.
        """
        return min((m.score for m in self.measures if not m.advice), default=0.0)

    @property
    def unified(self) -> float:
        """How good a picture is for its pose, 0 to 100: the mean of the weakest gate and of the mean over all
        measures, without the angles, since turned heads are asked for (docs/quality.md has what it predicts).
        0 for a picture that is rejected.
        """
        counted = [m for m in self.measures if m.name not in POSE]
        if not counted or not self.accepted:
            return 0.0
        weakest = min((m.score for m in counted if not m.advice), default=0.0)
        return (weakest + sum(m.score for m in counted) / len(counted)) / 2

"""What two versions of templates differ by, before one takes the other's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recon_service.domain.template import Decision

LEADING: Final = 15
"""Modes that the distance between two versions is taken over: most of what tells people apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """A log-likelihood ratio under the former template and under the candidate."""

    former: float
    candidate: float

    @property
    def difference(self) -> float:
        """Positive: it grows."""
        return self.candidate - self.former


@dataclass(frozen=True, slots=True)
class ProbeChange:
    """A recent probe, compared again. former, candidate: what the policy in force decides with each template.
    told: what was decided when it was seen.
    """

    score: Change
    former: Decision
    candidate: Decision
    told: Decision


@dataclass(frozen=True, slots=True)
class VersionChange:
    """One subject. shift: root mean square difference of the means in the leading modes, in standard
    deviations of people. width: of the candidate's posterior over the former's, 1: equally sure. visits: of
    the visits that strengthened the former template. probes: of the subject's recent probes. problem: code of
    why the two cannot be compared, empty if they can.
    """

    shift: float = 0.0
    width: float = 1.0
    visits: tuple[Change, ...] = ()
    problem: str = ""
    probes: tuple[ProbeChange, ...] = ()

    @property
    def fall(self) -> float | None:
        """How far the worst score of the subject's own falls; None: there is none."""
        scores = [*self.visits, *(probe.score for probe in self.probes)]
        return max((-score.difference for score in scores), default=None)


@dataclass(frozen=True, slots=True)
class EvaluationFigure:
    """How a kind of template does against a kind of probe, as the calibration in force was measured on people
    whom it was not learned on. templates: of the sample.
    """

    side: str
    reference: str
    probe: str
    templates: int
    dataset: str
    people: int
    eer: float
    cllr: float


@dataclass(frozen=True, slots=True)
class VersionsCompared:
    """Of a sample, in its order. strangers: a visit or probe of one subject against the template of another.
    policy: that decided.
    """

    changes: tuple[VersionChange, ...]
    strangers: tuple[Change, ...]
    evaluation: tuple[EvaluationFigure, ...]
    policy: str = ""

"""Whether a visit may strengthen a template: the guards, each against one way of walking a template from one
person to another.

Every visit is held against the enrollment and the first visit that was kept, which no later visit moves, and
against all visits together; and what all of them would be with it is held against the enrollment. So steps do
not add up: every visit that is kept lies as near to what stays as the first one had to, and so does what they
are together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import (
    LEAST_CONFIRMED,
    ReferencePart,
    SeenInDepth,
    depth_part,
    enrollment_part,
    usable_visits,
)
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Template

NOT_A_MATCH = "no-match"
NOT_STRONG = "not-strong"
ENROLLMENT = "enrollment-disagrees"
VISITS = "visits-disagree"
DRIFT = "drift"
FEW_FRAMES = "few-frames"
LIVENESS = "liveness-unsure"
CAMERA = "camera-not-measured"


@dataclass(frozen=True, slots=True)
class Strengthening:
    """What a policy asks of a visit before it strengthens a template. Natural log-likelihood ratios.

    strong_above: of the verification. enrollment_above: of the visit against the enrollment alone, appearance
    included. visits_above: of its shape against the visits kept, and against the first of them.
    confirmed_above: instead of the first two where card and PIN have confirmed who it is; None: a
    confirmation opens nothing. most_drift: of the visit from the enrollment and from the first visit, and of
    all visits together from the enrollment, in units of what the calibration expects of one person (1 on
    average). least_frames: usable ones.
    least_bona_fide: share of the check for artefacts, which must have run. most_visits: that are kept.
    """

    strong_above: float
    enrollment_above: float
    visits_above: float
    confirmed_above: float | None = None
    most_drift: float = 1.25
    least_frames: int = 3
    least_bona_fide: float = 0.5
    most_visits: int = 4

    def __post_init__(self) -> None:
        thresholds = [
            self.strong_above,
            self.enrollment_above,
            self.visits_above,
            self.confirmed_above or 0.0,
        ]
        if not np.isfinite([*thresholds, self.most_drift]).all() or self.most_drift <= 0:
            raise InvalidValue("the thresholds of a strengthening must be finite, its drift positive")
        if self.enrollment_above > self.strong_above or not 0.5 <= self.least_bona_fide <= 1:
            raise InvalidValue("a strengthening asks for a strong score and for a bona fide presentation")
        if self.least_frames < 1 or self.most_visits < LEAST_CONFIRMED:
            raise InvalidValue("a strengthening needs a depth frame, and room for two visits")


@dataclass(frozen=True, slots=True)
class Offered:
    """A visit that might be kept. source: ``depth/CAMERA``. captures: usable frames. llr: of the
    verification, all evidence together. appearance: what of it comes from the appearance. bona_fide: None
    where nothing was measured.
    """

    posterior: IdentityPosterior
    source: str
    captures: int
    llr: float
    appearance: float = 0.0
    bona_fide: float | None = None
    confirmed: bool = False


def objections(
    offered: Offered, template: Template, calibration: Calibration, asked: Strengthening
) -> tuple[str, ...]:
    """Every reason by code why the visit must not be kept; empty where it may. Raises ModelMismatch for a
    visit that the calibration cannot compare with the enrollment at all.
    """
    found: list[str] = []
    confirmed = offered.confirmed and asked.confirmed_above is not None
    if offered.captures < asked.least_frames:
        found.append(FEW_FRAMES)
    if offered.bona_fide is None or offered.bona_fide < asked.least_bona_fide:
        found.append(LIVENESS)
    kind = EvidenceKind.of(offered.source, offered.captures)
    enrolled = _Held.of(enrollment_part(template), offered.posterior, kind, calibration)
    least_of_all = asked.confirmed_above if confirmed and asked.confirmed_above is not None else None
    if offered.llr < (asked.strong_above if least_of_all is None else least_of_all):
        found.append(NOT_STRONG)
    least = asked.enrollment_above if least_of_all is None else least_of_all
    if enrolled.llr + offered.appearance < least:
        found.append(ENROLLMENT)
    anchors = [enrolled.part]
    held = [enrolled]
    kept = usable_visits(template, offered.source, calibration)
    if kept:
        parts = [depth_part(kept[:1]), depth_part(kept)]
        against = [_Held.of(part, offered.posterior, kind, calibration) for part in parts]
        held += against
        anchors.append(parts[0])
        if min(one.llr for one in against) < asked.visits_above:
            found.append(VISITS)
    if any(one.general for one in held) and not confirmed:
        found.append(CAMERA)
    if max(drift(anchor, [offered], calibration) for anchor in anchors) > asked.most_drift:
        found.append(DRIFT)
    staying = {visit.visit_id for visit in room_for(template.visits, most=asked.most_visits)}
    together: list[SeenInDepth] = [visit for visit in kept if visit.visit_id in staying]
    together.append(offered)
    if drift(enrolled.part, together, calibration) > asked.most_drift:
        found.append(DRIFT)
    return tuple(dict.fromkeys(found))


def drift(anchor: ReferencePart, visits: Sequence[SeenInDepth], calibration: Calibration) -> float:
    """How far the visits together lie from a part that stays: the normalized innovation over all modes, 1 on
    average for a visit of the person.
    """
    part = depth_part(visits)
    score = calibration.of(anchor.kind, part.kind).pair.score
    means = anchor.posterior.mean[None], part.posterior.mean[None]
    return float(score.innovations(*means, score.modes)[0])


def entropy_gain(offered: Offered, template: Template, calibration: Calibration) -> float:
    """Nats by which the visit narrows all that was seen in depth before its camera, if visits err
    independently; of the first one, the prior.
    """
    kept = usable_visits(template, offered.source, calibration)
    seen = [visit.posterior for visit in kept]
    before = reduce(IdentityPosterior.fused_with, seen) if seen else None
    after = offered.posterior if before is None else before.fused_with(offered.posterior)
    narrow = np.linalg.slogdet(after.covariance)[1]
    wide = 0.0 if before is None else np.linalg.slogdet(before.covariance)[1]
    return float(wide - narrow) / 2


def room_for(visits: Sequence[DepthVisit], *, most: int) -> tuple[DepthVisit, ...]:
    """The visits, oldest first, without those that must go for one more. The first before each camera stays,
    since the others were held against it; of the others the oldest goes.
    """
    firsts = {visit.source: visit.visit_id for visit in reversed(visits)}
    spare = [visit.visit_id for visit in visits if visit.visit_id not in firsts.values()]
    # Where every camera has one visit only, the oldest goes after all.
    order = [*spare, *(visit.visit_id for visit in visits if visit.visit_id in firsts.values())]
    going = set(order[: max(0, len(visits) + 1 - most)])
    return tuple(visit for visit in visits if visit.visit_id not in going)


@dataclass(frozen=True, slots=True)
class _Held:
    """The visit against one part."""

    part: ReferencePart
    llr: float
    general: bool

    @classmethod
    def of(
        cls, part: ReferencePart, probe: IdentityPosterior, kind: EvidenceKind, calibration: Calibration
    ) -> _Held:
        part.posterior.require_same_space(probe)
        calibration.require(probe.space, len(probe.mean), part.calibration)
        ratios, found = calibration.llr(part.kind, kind, part.posterior.mean[None], probe.mean[None])
        return cls(part, float(ratios[0]), found.general)

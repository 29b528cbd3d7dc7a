"""A sample goes through the application's own code and becomes an observation: an identity posterior, or the
reasons why there is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.application.records.operations import LANDMARKS_ALONE
from recon_service.comparison.evidence_kind import DEPTH, GENERIC, EvidenceKind
from recon_service.comparison.strengthening_parts import chosen_part
from recon_service.domain.appearance import Appearance
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Provenance, Template
from recon_service.evaluation.dataset import Medium, Subject
from recon_service.evaluation.draws import Sample
from recon_service.evaluation.rows import STRENGTHENED, medium_of, split_kind

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Observation:
    """posterior: None for a failure to enroll or to acquire. source: what observed it, as a template or a
    probe names it. used: of the sample's items, how many the application accepted. faults: codes of what
    spoke against items or the fit. seconds: that it took. appearance: where a network for it was at hand.
    """

    posterior: IdentityPosterior | None
    source: str
    used: int
    faults: tuple[str, ...] = ()
    seconds: float = 0.0
    appearance: Appearance | None = None


def observed(sample: Sample, subject: Subject, pipeline: FacePipeline) -> Observation:
    """What the application makes of a sample; reading and decoding of the dataset's files is not timed."""
    kind, backend = split_kind(sample.kind)
    if backend:
        return enrolled(sample, subject, pipeline if kind == "image" else _unmatched(pipeline), backend)
    return OBSERVERS[kind](sample, subject, pipeline)


def enrolled(
    sample: Sample, subject: Subject, pipeline: FacePipeline, backend: str = LANDMARKS_ALONE
) -> Observation:
    """Pictures go through ``enroll``."""
    contents = [subject.picture(item) for item in sample.items]
    start = time.perf_counter()
    # A row says how many pictures take part.
    result = enroll(contents, replace(pipeline, most_selfies=len(contents)), backend=backend)
    seconds = time.perf_counter() - start
    faults = [code for code, _ in result.doubts]
    for selfie in result.selfies:
        if selfie.problem is not None:
            faults.append(selfie.problem.code)
        elif selfie.quality is not None and not selfie.accepted:
            faults += [measure.name for measure in selfie.quality.reasons] or ["no-face"]
    posterior = result.fit.posterior if result.fit is not None else None
    return Observation(
        posterior, result.source or GENERIC, len(result.used), tuple(faults), seconds, result.appearance
    )


def enrolled_by_landmarks(sample: Sample, subject: Subject, pipeline: FacePipeline) -> Observation:
    """Pictures go through ``enroll`` without matching their skin: the baseline of the photometric fit."""
    return enrolled(sample, subject, _unmatched(pipeline))


def _unmatched(pipeline: FacePipeline) -> FacePipeline:
    return replace(pipeline, matcher=None)


def visited(sample: Sample, subject: Subject, pipeline: FacePipeline) -> Observation:
    """Depth frames go through ``observe``, each with its picture where it has one."""
    return _visited(sample, subject, pipeline, with_image=True)


def visited_blind(sample: Sample, subject: Subject, pipeline: FacePipeline) -> Observation:
    """Depth frames whose pictures are withheld: shape without any landmark."""
    return _visited(sample, subject, pipeline, with_image=False)


def _visited(sample: Sample, subject: Subject, pipeline: FacePipeline, *, with_image: bool) -> Observation:
    frames = [subject.frame(item) for item in sample.items]
    if not with_image:
        frames = [replace(frame, image=None) for frame in frames]
    start = time.perf_counter()
    probe = observe(frames, pipeline)
    seconds = time.perf_counter() - start
    return Observation(
        probe.posterior,
        probe.source,
        len(probe.fits),
        tuple(code for code, _ in probe.faults),
        seconds,
        probe.appearance,
    )


def strengthened(sample: Sample, subject: Subject, pipeline: FacePipeline) -> Observation:
    """Pictures go through ``enroll``, depth frames through ``observe``; what comes back is the part of the
    template, strengthened by the visit, that the application compares another such visit with. Whether a
    policy would have let the visit in is not asked: card and PIN may have vouched for it.
    """
    pictures, frames = (
        replace(sample, items=tuple(item for item in sample.items if item.medium is medium))
        for medium in (Medium.IMAGE, Medium.DEPTH)
    )
    enrolled_, visited_ = enrolled(pictures, subject, pipeline), visited(frames, subject, pipeline)
    faults = (*enrolled_.faults, *visited_.faults)
    seconds = enrolled_.seconds + visited_.seconds
    if enrolled_.posterior is None or visited_.posterior is None:
        return Observation(None, visited_.source, 0, faults, seconds)
    kind = EvidenceKind.depth(visited_.source, visited_.used)
    part = chosen_part(_template(enrolled_, visited_, kind, pipeline), kind, pipeline.calibration)
    used = enrolled_.used if part.kind.family != DEPTH else part.kind.captures
    return Observation(
        part.posterior,
        part.kind.origin if part.kind.family == DEPTH else part.kind.source,
        used,
        faults,
        seconds,
        enrolled_.appearance,
    )


def _template(
    enrolled_: Observation, visited_: Observation, kind: EvidenceKind, pipeline: FacePipeline
) -> Template:
    if enrolled_.posterior is None or visited_.posterior is None:
        raise InvalidValue("a template is made of observations that gave something")
    calibration = pipeline.calibration.identity
    visit = DepthVisit(
        visit_id="visit",
        posterior=visited_.posterior,
        source=kind.source,
        captures=kind.captures,
        calibration=calibration,
        captured_at=NEVER,
        policy="",
        score=0.0,
        confirmed=False,
        gain=0.0,
        kiosk="",
    )
    seen = Provenance(enrolled_.source, "", NEVER)
    return Template(
        template_id="",
        subject_id="",
        posterior=enrolled_.posterior,
        source=enrolled_.source,
        model=pipeline.model.name,
        calibration=calibration,
        provenance=(seen,) * enrolled_.used,
        quality=100.0,
        created_at=NEVER,
        visits=(visit,),
    )


OBSERVERS: Mapping[str, Callable[[Sample, Subject, FacePipeline], Observation]] = {
    "image": enrolled,
    "landmarks": enrolled_by_landmarks,
    "depth": visited,
    "depthonly": visited_blind,
    STRENGTHENED: strengthened,
}
"""By the kind of a side (``rows.KINDS``)."""


def evidence_kind(sample: Sample, observation: Observation) -> EvidenceKind:
    """What the calibration has to know of it."""
    # A strengthened template may still be compared by what the enrollment saw, whose source has two parts.
    if medium_of(sample.kind) is Medium.DEPTH and "/" not in observation.source:
        return EvidenceKind.depth(observation.source, max(1, observation.used))
    return EvidenceKind.of(observation.source, max(1, observation.used))

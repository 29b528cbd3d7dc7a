"""A sample goes through the application's own code and becomes an observation: an identity posterior, or the
reasons why there is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from recon_service.application.enroll import enroll
from recon_service.application.pipeline import FacePipeline
from recon_service.application.records import LANDMARKS_ALONE
from recon_service.application.verify import observe
from recon_service.comparison.evidence_kind import GENERIC, EvidenceKind
from recon_service.domain.appearance import Appearance
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.dataset import Medium, Subject
from recon_service.evaluation.draws import Sample
from recon_service.evaluation.rows import medium_of, split_kind


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
    result = enroll(contents, pipeline, backend=backend)
    seconds = time.perf_counter() - start
    faults = [code for code, _ in result.doubts]
    for selfie in result.selfies:
        if selfie.problem is not None:
            faults.append(selfie.problem.code)
        elif selfie.quality is not None and not selfie.accepted:
            faults += [measure.name for measure in selfie.quality.reasons] or ["no-face"]
    posterior = result.fit.posterior if result.fit is not None else None
    return Observation(
        posterior, result.source or GENERIC, len(result.accepted), tuple(faults), seconds, result.appearance
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


OBSERVERS: Mapping[str, Callable[[Sample, Subject, FacePipeline], Observation]] = {
    "image": enrolled,
    "landmarks": enrolled_by_landmarks,
    "depth": visited,
    "depthonly": visited_blind,
}
"""By the kind of a side (``rows.KINDS``)."""


def evidence_kind(sample: Sample, observation: Observation) -> EvidenceKind:
    """What the calibration has to know of it."""
    if medium_of(sample.kind) is Medium.DEPTH:
        return EvidenceKind.depth(observation.source, max(1, observation.used))
    return EvidenceKind.of(observation.source, max(1, observation.used))

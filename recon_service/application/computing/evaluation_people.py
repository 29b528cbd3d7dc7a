"""A person of an evaluation set, through the application's own sentences: selfies to a template by one way,
frames to what a visit shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from recon_service.application.computing.verify import observe
from recon_service.application.records.batches import Material
from recon_service.application.records.evaluations import PersonObserved, Way
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.records.probes import ProbeSeen
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import DepthRejected, ImageRejected, ModelMismatch
from recon_service.domain.template import Provenance, Template

if TYPE_CHECKING:
    from recon_service.application.computing.local_compute import LocalCompute

NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)

ComputeOf = Callable[[Way], "LocalCompute"]
"""What computes by a way's model and calibration. Raises WeightsUnavailable, ModelMismatch."""


def observed_person(
    enrollments: Sequence[Sequence[bytes]],
    visits: Sequence[Sequence[DepthFrame]],
    way: Way,
    compute_of: ComputeOf,
) -> PersonObserved:
    """enrollments: files of selfies that are enrolled together. visits: frames that are looked at together.
    Raises what ``compute_of`` raises.
    """
    compute = compute_of(way)
    return PersonObserved(
        tuple(_template(selfies, way, compute_of)[0] for selfies in enrollments),
        tuple(_probe(frames, compute) for frames in visits),
    )


def _template(
    selfies: Sequence[bytes], way: Way, compute_of: ComputeOf
) -> tuple[Template | None, EnrollmentOutcome | None]:
    compute = compute_of(way)
    if way.parent is None:
        outcome = compute.reconstruct(selfies, lambda stage, share: None, backend=way.backend)
        return _enrolled(outcome, len([s for s in outcome.selfies if s.used])), outcome
    parent, made = _template(selfies, way.parent, compute_of)
    if parent is None:
        return None, None
    if way.material is Material.EVIDENCE and made is not None and made.evidence:
        try:
            again = compute.refit(made.evidence, backend=way.backend)
        except ModelMismatch:
            return None, None
        return _enrolled(again, len(parent.provenance)), again
    (carried,) = compute.carry_over([parent])
    return (None if isinstance(carried, str) else carried), made


def _enrolled(outcome: EnrollmentOutcome, used: int) -> Template | None:
    if outcome.posterior is None:
        return None
    seen = Provenance(outcome.source, outcome.backend, NEVER)
    return Template(
        template_id="",
        subject_id="",
        posterior=outcome.posterior,
        source=outcome.source,
        model=outcome.model,
        calibration=outcome.calibration,
        provenance=(seen,) * used,
        quality=outcome.quality,
        created_at=NEVER,
        appearance=outcome.appearance,
    )


def _probe(frames: Sequence[DepthFrame], compute: LocalCompute) -> ProbeSeen | None:
    try:
        probe = observe(frames, compute.pipeline)
    except (DepthRejected, ImageRejected):
        return None
    if probe.posterior is None:
        return None
    return ProbeSeen(probe.posterior, probe.source, len(probe.fits), probe.appearance)

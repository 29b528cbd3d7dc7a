"""Identify: visit -> identity posterior -> the best by shape of all references -> the whole comparison with
each -> candidates. And the same question at an enrollment: is this person enrolled already, as somebody else?
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from recon_service.application.ports.compute import Compute
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.references import ReferenceIndex
from recon_service.application.ports.stores import Stores
from recon_service.application.records.identifications import (
    MAX_CANDIDATES,
    Candidate,
    Identification,
    IdentificationDecision,
    ObservedVisit,
)
from recon_service.application.records.kiosks import PresentedProof
from recon_service.application.records.references import Hit, SealedReference, SearchProbe
from recon_service.application.records.visits import KioskVisit
from recon_service.application.searching.compared_versions import ComparedVersion, compared_versions
from recon_service.application.searching.reference_feed import IdentificationOff
from recon_service.application.verifying.attempts import LockoutPolicy, begin_identification, settle, void
from recon_service.application.verifying.reference_versions import FORMER_VERSION
from recon_service.comparison.appearance import (
    AppearanceMaps,
    compare_appearance,
    lacking_appearance,
    load_appearance_maps,
    with_appearance,
)
from recon_service.comparison.calibration import Calibration, PairKey
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.identification_policy import PILOT, IdentificationPolicy
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.strengthening_parts import chosen_part
from recon_service.domain.appearance import Appearance
from recon_service.domain.errors import InvalidValue, ModelMismatch, ReconError, StorageFault
from recon_service.domain.template import ComparisonScore

SHORTLIST: Final = 20
"""The best by shape that are compared in full: appearance may change the order among them, and brings in
nobody else.
"""


@dataclass(frozen=True, slots=True)
class Identifier:
    """Searches the references of one service. Thread-safe."""

    index: ReferenceIndex
    calibration: Calibration
    policy: IdentificationPolicy = PILOT
    maps: AppearanceMaps = field(default_factory=load_appearance_maps)


@dataclass(frozen=True, slots=True)
class Likeness:
    """A reference, opened, and how much it is like the probe."""

    reference: ComparedVersion
    score: ComparisonScore
    kinds: PairKey


def identify(
    visit: KioskVisit,
    *,
    limit: int,
    api_key_id: str,
    policy: LockoutPolicy,
    on: Stores,
    compute: Compute,
    by: Identifier | None,
    presented: PresentedProof | None = None,
) -> Identification:
    """Who of those that are enrolled may the person before the kiosk be? The audit log has it before anybody
    hears of it; searches that name nobody lock the key out in the end.

    presented: the nonce of a kiosk session, which is used up before anybody is searched. Raises
    IdentificationOff, InvalidValue, ReferencesNotReady, ModelMismatch, DepthRejected, ImageRejected,
    TimeLimitReached, and what ``begin_identification`` raises.
    """
    if by is None:
        raise IdentificationOff(
            "this service compares with one subject at a time",
            next_step="Set RECON_IDENTIFICATION to memory or pgvector if you may search among all.",
        )
    if not 1 <= limit <= MAX_CANDIDATES:
        raise InvalidValue(f"an identification gives 1 to {MAX_CANDIDATES} candidates, not {limit}")
    by.index.check()
    attempt = begin_identification(api_key_id=api_key_id, policy=policy, presented=presented, on=on)
    try:
        found = searched(compute.observe(visit), limit=limit, on=on, by=by)
    except ReconError:
        void(attempt, on=on)
        raise
    count = f"{len(found.candidates)} of {found.searched}"
    settle(
        attempt,
        outcome=(
            found.decision.value,
            count,
            *([FORMER_VERSION] if any(one.former for one in found.candidates) else []),
            *(code for code, _ in found.reasons),
        ),
        failed=found.decision is not IdentificationDecision.CANDIDATES,
        decided=found.decision is not IdentificationDecision.INCONCLUSIVE,
        on=on,
    )
    return found


def searched(visit: ObservedVisit, *, limit: int, on: Stores, by: Identifier) -> Identification:
    """The candidates for what a visit showed. Raises ModelMismatch or StorageFault where nobody can be
    compared.
    """
    if visit.posterior is None or visit.presentation.attack:
        attack = visit.presentation.attack
        decision = (
            IdentificationDecision.PRESENTATION_ATTACK if attack else IdentificationDecision.INCONCLUSIVE
        )
        why = visit.presentation.reasons if attack else visit.faults
        return Identification(decision, (), 0, 0, by.policy.threshold(0), by.policy.name, False, why, visit)
    start = time.perf_counter()
    probe = SearchProbe(EvidenceKind.depth(visit.source, visit.frames_used), visit.posterior)
    result = by.index.search(probe, count=SHORTLIST, least_llr=-float("inf"))
    # Nobody found among nobody would be told as if all had been looked at.
    if result.unreadable and not result.searched:
        raise StorageFault(
            f"none of the {result.unreadable} references can be opened",
            next_step="Give this process every master key that keys of subjects are wrapped with.",
        )
    if result.not_comparable and not result.searched:
        raise ModelMismatch(
            f"none of the {result.not_comparable} references can be compared under {by.calibration.identity}",
            next_step="Derive the templates anew for this service's model: recon batch submit --to-model.",
        )
    alike = likenesses(result.hits, probe, visit.appearance, on=on, by=by)
    listed = [one for one in alike if one.score.llr >= by.policy.list_above][:limit]
    threshold = by.policy.threshold(result.searched)
    supported = bool(listed) and by.policy.supported(
        result.searched, by.calibration, {one.kinds for one in listed}
    )
    meets = supported and visit.frames_used >= by.policy.least_frames
    candidates = tuple(
        Candidate(
            one.reference.version.subject_id,
            one.reference.template_id,
            one.score,
            meets and one.score.llr >= threshold and not one.score.general,
            former=one.reference.former,
        )
        for one in listed
    )
    reasons = list(visit.faults)
    if listed and not supported:
        reasons.append(
            (
                "claim-not-measured",
                "Too few people were measured for a search among so many: have a person check them.",
            )
        )
    return Identification(
        IdentificationDecision.CANDIDATES if candidates else IdentificationDecision.NO_CANDIDATE,
        candidates,
        result.searched,
        result.not_comparable + result.unreadable,
        threshold,
        by.policy.name,
        supported,
        tuple(reasons),
        visit,
        search_ms=1000 * (time.perf_counter() - start),
    )


def likenesses(
    hits: Sequence[Hit], probe: SearchProbe, appearance: Appearance | None, *, on: Stores, by: Identifier
) -> list[Likeness]:
    """The whole comparison with each that is still active, best first: the same one as in a verification."""
    with on.database.snapshot() as tx:
        references = tx.references.of([hit.template_id for hit in hits])
        return compared(references, probe, appearance, on=on, tx=tx, by=by)


def compared(
    references: Sequence[SealedReference],
    probe: SearchProbe,
    appearance: Appearance | None,
    *,
    on: Stores,
    tx: Transaction,
    by: Identifier,
) -> list[Likeness]:
    """Each opened and compared in full, best first. A damaged one, or one of another model, must not end the
    comparison with all others.
    """
    found = []
    for reference in compared_versions(references, by.calibration, on=on, tx=tx).versions:
        with suppress(ModelMismatch):
            found.append(_likeness(reference, probe, appearance, by))
    return sorted(found, key=lambda one: (-one.score.llr, one.reference.template_id))


def _likeness(
    reference: ComparedVersion, probe: SearchProbe, appearance: Appearance | None, by: Identifier
) -> Likeness:
    template = reference.version
    part = chosen_part(template, probe.kind, by.calibration)
    score = compare(
        part.posterior,
        probe.posterior,
        reference_kind=part.kind,
        probe_kind=probe.kind,
        calibration=by.calibration,
        template_calibration=part.calibration,
    )
    seen = compare_appearance(template.appearance, appearance, by.maps)
    lacking = lacking_appearance(template.appearance, appearance)
    key = by.calibration.of(part.kind, probe.kind).key
    return Likeness(reference, with_appearance(score, seen, lacking=lacking), key)

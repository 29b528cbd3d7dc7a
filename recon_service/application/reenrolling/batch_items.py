"""One item of a batch: what was kept of the subject -> the template as the models in force make it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.errors import Overloaded, StorageRefused, StorageUnavailable
from recon_service.application.keeping.backoff import wait_after
from recon_service.application.keeping.selfies import open_selfies
from recon_service.application.ports.batches import Rederiving
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import BatchTarget, Group, ItemEnd, ItemState, Material, Taken
from recon_service.application.records.evidence import EVIDENCE_PLACE
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.records.templates import TemplateOrigin
from recon_service.application.templates.sealing import open_template, seal_template
from recon_service.domain.errors import (
    BackendUnavailable,
    CallerError,
    ModelMismatch,
    ReconError,
    StorageFault,
    WeightsUnavailable,
)
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template

WORKER_LOST: Final = "worker-lost"
NO_TEMPLATE: Final = "no-template"
NOTHING_KEPT: Final = "nothing-kept"
ENROLLED_ANEW: Final = "enrolled-anew"
NOT_GOOD_ENOUGH: Final = "no-selfie-accepted"

NOT_THE_ITEMS: Final = (
    StorageUnavailable,
    StorageRefused,
    Overloaded,
    WeightsUnavailable,
    BackendUnavailable,
)
"""Faults that another attempt, perhaps on another worker, may well not have: they cost nobody an attempt."""


@dataclass(frozen=True, slots=True)
class ItemPolicy:
    """attempts: until an item is given up. backoff: wait after a fault, four times as long after each further
    one. storage_backoff: after an attempt that failed for a reason that is not the item's, which does not
    count. tell: is told of every fault, for the log.
    """

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=1)
    storage_backoff: timedelta = timedelta(seconds=5)
    tell: Callable[[Exception], None] = lambda fault: None


def derived_anew(
    group: Group, *, on: Stores, compute: Rederiving, policy: ItemPolicy
) -> Iterator[list[ItemEnd]]:
    """The ends of a group's items, some at a time; whoever stops asking leaves the others undone."""
    target, now = group.batch.target, on.clock()
    ready: list[tuple[Taken, Template]] = []
    ends: list[ItemEnd] = []
    single: list[Taken] = []
    for item in group.items:
        known = _settled(item, group, policy)
        if known is not None:
            ends.append(known)
        elif _material(item, target) is Material.POSTERIOR:
            try:
                ready.append((item, _opened(item, on)))
            except ReconError as fault:
                ends.append(_fault(item, fault, policy, now))
        else:
            single.append(item)
    if ends:
        yield ends
    if ready:
        yield _carried_over(ready, on, compute, policy)
    for item in single:
        yield [_one(item, target, on, compute, policy)]


def _settled(item: Taken, group: Group, policy: ItemPolicy) -> ItemEnd | None:
    """The end of an item that nothing needs to be computed for."""
    key_id = item.key.key_id
    if item.attempts > policy.attempts:
        # Its runners died so often that it is more likely the cause than the victim.
        return ItemEnd(item.subject_id, ItemState.FAILED, key_id, WORKER_LOST)
    if item.active is None:
        return ItemEnd(item.subject_id, ItemState.NEEDS_NEW_SELFIE, key_id, NO_TEMPLATE)
    anew = item.active.origin in (TemplateOrigin.ENROLLMENT, TemplateOrigin.IMPORT)
    if anew and item.active.created_at > group.batch.moment:
        return ItemEnd(item.subject_id, ItemState.CANCELLED, key_id, ENROLLED_ANEW)
    if _material(item, group.batch.target) is None:
        return ItemEnd(item.subject_id, ItemState.NEEDS_NEW_SELFIE, key_id, NOTHING_KEPT)
    return None


def _material(item: Taken, target: BatchTarget, *, but: Material | None = None) -> Material | None:
    """The best that was kept and may be used."""
    kept = {
        Material.SELFIES: item.keeps_selfies,
        Material.EVIDENCE: item.keeps_evidence,
        Material.POSTERIOR: item.active is not None,
    }
    return next((m for m in Material if kept[m] and m in target.materials and m is not but), None)


def _one(item: Taken, target: BatchTarget, on: Stores, compute: Rederiving, policy: ItemPolicy) -> ItemEnd:
    material = _material(item, target)
    try:
        parent = _opened(item, on)
        if material is None:
            raise StorageFault("what was kept is gone")
        if material is Material.SELFIES:
            outcome = compute.reconstruct(_selfies(item, on), _untold, backend=target.backend)
        else:
            try:
                outcome = compute.refit(_evidence(item, on), backend=target.backend)
            except ModelMismatch:
                if _material(item, target, but=Material.EVIDENCE) is None:
                    raise
                material = Material.POSTERIOR
                (end,) = _carried_over([(item, parent)], on, compute, policy)
                return end
        return _end(item, parent, outcome, material, on)
    except Exception as fault:
        return _fault(item, fault, policy, on.clock())


def _untold(_stage: str, _share: float) -> None:
    """Nobody follows the progress of one item."""


def _selfies(item: Taken, on: Stores) -> list[bytes]:
    with on.database.snapshot() as tx:
        stored = tx.kept_evidence.selfies_of(item.subject_id)
    return open_selfies(stored, item.key, on=on)


def _evidence(item: Taken, on: Stores) -> bytes:
    with on.database.snapshot() as tx:
        kept = tx.kept_evidence.of(item.subject_id)
    if kept is None:
        raise StorageFault("the kept evidence is gone", next_step="Enroll the subject again.")
    return on.vault.cipher(item.key).open(kept.sealed, place=EVIDENCE_PLACE, row=kept.template_id)


def _opened(item: Taken, on: Stores) -> Template:
    """The template in force. Raises StorageFault."""
    if item.active is None:
        raise StorageFault("the subject has no template in force")
    return open_template(item.active, item.key, on=on)


def _carried_over(
    items: Sequence[tuple[Taken, Template]], on: Stores, compute: Rederiving, policy: ItemPolicy
) -> list[ItemEnd]:
    """Of all at once: it takes microseconds each."""
    try:
        found = compute.carry_over([template for _, template in items])
    except Exception as fault:
        return [_fault(item, fault, policy, on.clock()) for item, _ in items]
    ends = []
    for (item, _), template in zip(items, found, strict=True):
        if isinstance(template, str):
            ends.append(ItemEnd(item.subject_id, ItemState.NEEDS_NEW_SELFIE, item.key.key_id, template))
        else:
            made = replace(template, template_id=new_id("tpl"), created_at=on.clock())
            ends.append(_succeeded(item, made, Material.POSTERIOR, on))
    return ends


def _end(
    item: Taken, parent: Template, outcome: EnrollmentOutcome, material: Material, on: Stores
) -> ItemEnd:
    if outcome.posterior is None:
        reason = outcome.problem.code if outcome.problem else NOT_GOOD_ENOUGH
        return ItemEnd(item.subject_id, ItemState.REJECTED, item.key.key_id, reason, material)
    used = sum(1 for s in outcome.selfies if s.used) or len(parent.provenance)
    captured = min((p.captured_at for p in parent.provenance), default=parent.created_at)
    seen = Provenance(source=outcome.source, backend=outcome.backend, captured_at=captured)
    template = Template(
        template_id=new_id("tpl"),
        subject_id=item.subject_id,
        posterior=outcome.posterior,
        source=outcome.source,
        model=outcome.model,
        calibration=outcome.calibration,
        provenance=(seen,) * used,
        quality=outcome.quality or parent.quality,
        created_at=on.clock(),
        appearance=outcome.appearance or parent.appearance,
        # Visits are evidence of their own: they stay where coefficients mean the same.
        visits=parent.visits if _same_space(parent.posterior, outcome.posterior) else (),
    )
    return _succeeded(item, template, material, on)


def _same_space(one: IdentityPosterior, other: IdentityPosterior) -> bool:
    return one.space == other.space and len(one.mean) == len(other.mean)


def _succeeded(item: Taken, template: Template, material: Material, on: Stores) -> ItemEnd:
    parent = item.active.template_id if item.active else None
    origin = TemplateOrigin.REENROLLMENT
    candidate = seal_template(template, item.key, on=on, origin=origin, parent_id=parent)
    return ItemEnd(
        item.subject_id, ItemState.SUCCEEDED, item.key.key_id, material=material, candidate=candidate
    )


def _fault(item: Taken, fault: Exception, policy: ItemPolicy, now: datetime) -> ItemEnd:
    """Another attempt, unless the fault will not go away or the attempts are used up."""
    policy.tell(fault)
    code = fault.code if isinstance(fault, ReconError) else "internal-fault"
    key_id, again = item.key.key_id, ItemState.WAITING
    if isinstance(fault, NOT_THE_ITEMS):
        due = now + policy.storage_backoff
        return ItemEnd(item.subject_id, again, key_id, code, due=due, refund=True)
    if isinstance(fault, CallerError) or item.attempts >= policy.attempts:
        return ItemEnd(item.subject_id, ItemState.FAILED, key_id, code)
    due = now + wait_after(item.attempts, first=policy.backoff)
    return ItemEnd(item.subject_id, again, key_id, code, due=due)

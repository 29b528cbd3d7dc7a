"""Keeping what a visit offers, and taking it out again: each makes a new version of the template, of which
the one before is the parent.

A visit is kept only into the very version that it was compared with, and by one verification at a time; all
others that ran beside it give nothing. Rows are locked in the order subject, counters, audit log.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.keeping.audit import SERVICE, record, subject_digest
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import FailureKind
from recon_service.application.records.identifiers import check_subject_id, new_id
from recon_service.application.records.strengthening import Proposal
from recon_service.application.records.subjects import WrappedKey
from recon_service.application.records.templates import TemplateOrigin
from recon_service.application.templates.sealing import seal_template
from recon_service.application.templates.subjects import load_template, no_such_subject
from recon_service.comparison.strengthening import room_for
from recon_service.domain.errors import Conflict, NotFound, StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Template

DAY: Final = timedelta(days=1)
MORE_THAN_ENOUGH: Final = "too-often"
SUPERSEDED: Final = "superseded"
LOCKED_OUT: Final = "locked-out"


@dataclass(frozen=True, slots=True)
class StrengtheningLimits:
    """per_day: versions of one subject's template that visits may make within 24 hours; 0: none ever."""

    per_day: int = 1


NEVER: Final = StrengtheningLimits(per_day=0)


def may_strengthen(reference: Template, limits: StrengtheningLimits, *, now: datetime) -> bool:
    """Whether it is worth looking: what the template itself says, without asking the database."""
    return _within_a_day((visit.captured_at for visit in reference.visits), now) < limits.per_day


def keep_visit(
    proposal: Proposal | None,
    reference: Template,
    *,
    api_key_id: str,
    limits: StrengtheningLimits,
    on: Stores,
) -> str | None:
    """Make the version that the visit strengthened, and put it into force; its id, or None where the visit is
    not kept. Why goes to the audit log.

    The decision stands whatever happens here, so a store that does not answer is no fault of the
    verification.
    """
    if proposal is None:
        return None
    with suppress(StorageFault, Conflict):
        if proposal.posterior is not None:
            return _kept(proposal, proposal.posterior, reference, api_key_id, limits, on)
        with on.database.transaction() as tx:
            _record_refusal(tx, reference.subject_id, proposal, proposal.reasons, api_key_id, on)
    return None


def list_visits(subject_id: str, *, on: Stores) -> tuple[str, tuple[DepthVisit, ...]]:
    """Id of the active version, and the visits that it rests on beside the enrollment, oldest first. Raises
    NotFound.
    """
    template = load_template(subject_id, None, on=on)
    return template.template_id, template.visits


def remove_visit(subject_id: str, visit_id: str, *, on: Stores, actor: str = SERVICE) -> str:
    """Take one visit out of the active version: the new version holds, bit for bit, what it would hold if the
    visit had never been kept. Its id. Raises NotFound, Conflict when the template changes meanwhile.

    The version with the visit is kept for a while, as every version is, and may be activated again.
    """
    check_subject_id(subject_id)
    before = load_template(subject_id, None, on=on)
    left = tuple(visit for visit in before.visits if visit.visit_id != visit_id)
    if len(left) == len(before.visits):
        raise NotFound("the active template rests on no such visit", next_step="List the subject's visits.")
    with on.database.transaction() as tx:
        key = tx.subjects.key(subject_id, lock=True)
        if key is None:
            raise no_such_subject()
        if not _in_force(before, tx):
            raise Conflict("the subject's template changed meanwhile", next_step="List the visits again.")
        after = _version(before, left, key, tx, on)
        record(
            tx,
            on=on,
            action="template.visit-removed",
            actor=actor,
            subject_id=subject_id,
            object_id=after,
            outcome=(visit_id,),
        )
    return after


def _kept(
    proposal: Proposal,
    posterior: IdentityPosterior,
    reference: Template,
    api_key_id: str,
    limits: StrengtheningLimits,
    on: Stores,
) -> str | None:
    subject_id = reference.subject_id
    with on.database.transaction() as tx:
        key = tx.subjects.key(subject_id, lock=True)
        if key is None:
            return None
        objection = _objection(reference, limits, tx, on)
        if objection:
            _record_refusal(tx, subject_id, proposal, (objection,), api_key_id, on)
            return None
        visit = _visit(proposal, posterior, api_key_id, on)
        visits = (*room_for(reference.visits, most=proposal.most_visits), visit)
        template_id = _version(reference, visits, key, tx, on)
        record(
            tx,
            on=on,
            action="template.strengthened",
            actor=api_key_id,
            subject_id=subject_id,
            object_id=template_id,
            outcome=_outcome(proposal, (visit.visit_id,)),
        )
    return template_id


def _objection(reference: Template, limits: StrengtheningLimits, tx: Transaction, on: Stores) -> str:
    """Why the template must not change now; empty where it may. The subject is locked."""
    now = on.clock()
    if not _in_force(reference, tx):
        return SUPERSEDED
    made = (
        row.created_at
        for row in tx.templates.of_subject(reference.subject_id)
        if row.origin is TemplateOrigin.STRENGTHENING
    )
    if _within_a_day(made, now) >= limits.per_day or not may_strengthen(reference, limits, now=now):
        return MORE_THAN_ENOUGH
    counter = tx.limits.failures(FailureKind.SUBJECT, subject_digest(reference.subject_id, on=on), now=now)
    return LOCKED_OUT if counter.locked_until is not None and counter.locked_until > now else ""


def _in_force(template: Template, tx: Transaction) -> bool:
    active = tx.templates.active(template.subject_id)
    return active is not None and active.template_id == template.template_id


def _visit(proposal: Proposal, posterior: IdentityPosterior, api_key_id: str, on: Stores) -> DepthVisit:
    return DepthVisit(
        visit_id=new_id("vis"),
        posterior=posterior,
        source=proposal.source,
        captures=proposal.captures,
        calibration=proposal.calibration,
        captured_at=on.clock(),
        policy=proposal.policy,
        score=proposal.score,
        confirmed=proposal.confirmed,
        gain=proposal.gain,
        kiosk=on.vault.digest("kiosk-key", api_key_id.encode()),
    )


def _version(
    before: Template, visits: tuple[DepthVisit, ...], key: WrappedKey, tx: Transaction, on: Stores
) -> str:
    """The template with these visits, in force from now on."""
    after = replace(before, template_id=new_id("tpl"), visits=visits, created_at=on.clock())
    origin = TemplateOrigin.STRENGTHENING
    tx.templates.add(seal_template(after, key, on=on, origin=origin, parent_id=before.template_id))
    tx.templates.activate(after.subject_id, after.template_id, now=on.clock())
    return after.template_id


def _record_refusal(
    tx: Transaction,
    subject_id: str,
    proposal: Proposal,
    reasons: tuple[str, ...],
    api_key_id: str,
    on: Stores,
) -> None:
    """Many refusals of one subject are what an attempt to walk its template looks like."""
    record(
        tx,
        on=on,
        action="template.not-strengthened",
        actor=api_key_id,
        subject_id=subject_id,
        outcome=_outcome(proposal, reasons),
    )


def _outcome(proposal: Proposal, reasons: tuple[str, ...]) -> tuple[str, ...]:
    return (*reasons, *(("confirmed",) if proposal.confirmed else ()))


def _within_a_day(moments: Iterable[datetime], now: datetime) -> int:
    return sum(abs(now - moment) < DAY for moment in moments)

"""Lock-out: after repeated verifications without a match, a subject or an API key waits.

An attempt counts as failed before it is compared and is given back when it turns out otherwise, so that many
requests at one moment get no more comparisons than the same number in a row. Whatever is not a match counts,
inconclusive captures too: each is a try at being taken for somebody. The counters are in the database and
hold for all processes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.audit import record, subject_digest
from recon_service.application.errors import LockedOut
from recon_service.application.kiosk_records import PresentedProof
from recon_service.application.kiosk_sessions import (
    REFUSALS,
    SpentNonce,
    end_session,
    forget_attempt,
    record_refusal,
    refuse_replay,
    spend_nonce,
)
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records import FailureCounter, FailureKind
from recon_service.application.strengthening_keeping import (
    NEVER,
    StrengtheningLimits,
    keep_visit,
    may_strengthen,
)
from recon_service.application.subjects import load_template
from recon_service.application.visits import KioskVisit, VerificationOutcome
from recon_service.domain.errors import NotFound, ReconError, StorageFault
from recon_service.domain.template import Decision

REMEMBERED: Final = timedelta(days=1)
"""Counters that nobody touched for so long are forgotten by the sweeper."""


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """subject, api_key: failures within ``window`` that lock for ``duration``; 0: never."""

    subject: int = 10
    api_key: int = 100
    window: timedelta = timedelta(minutes=15)
    duration: timedelta = timedelta(minutes=15)


def verify_guarded(
    subject_id: str,
    visit: KioskVisit,
    *,
    api_key_id: str,
    policy: LockoutPolicy,
    on: Stores,
    compute: Compute,
    presented: PresentedProof | None = None,
    strengthening: StrengtheningLimits | None = None,
) -> VerificationOutcome:
    """Is the person before the kiosk the subject? The decision is in the audit log before it is told.

    presented: the nonce of a kiosk session, which is used up before anything is compared. strengthening: how
    often the visits may change the template, None: never. Raises LockedOut,
    NotFound, DepthRejected, ImageRejected, TimeLimitReached, StorageFault, and what ``spend_nonce`` and
    ``refuse_replay`` raise: a replay stays counted as a failure.
    """
    reference = load_template(subject_id, None, on=on)
    limits = strengthening or NEVER
    visit = replace(visit, may_strengthen=may_strengthen(reference, limits, now=on.clock()))
    names = _names(subject_id, api_key_id, policy, on)
    try:
        with on.database.transaction() as tx:
            spent = (
                spend_nonce(tx, presented, subject_id=subject_id, api_key_id=api_key_id, on=on)
                if presented
                else None
            )
            for kind, name, limit in names:
                tx.limits.set_failures(_attempted(tx, kind, name, limit, policy, on.clock()))
        refuse_replay(spent)
    except REFUSALS as fault:
        if presented is not None:
            record_refusal(fault, presented, subject_id=subject_id, api_key_id=api_key_id, on=on)
        raise
    try:
        outcome = compute.verify(reference, visit)
    except ReconError:
        with suppress(StorageFault), on.database.transaction() as tx:  # else it stays counted
            if spent is not None:
                forget_attempt(tx, spent)
            for kind, name, limit in names:
                _give_back(tx, kind, name, limit, on.clock(), all_of_them=False)
        raise
    _settle(subject_id, api_key_id, outcome, names, spent, on)
    made = keep_visit(outcome.proposal, reference, api_key_id=api_key_id, limits=limits, on=on)
    return replace(outcome, proposal=None, strengthened=made)


def locked_out(*, on: Stores) -> list[FailureCounter]:
    """Who is locked out at this moment."""
    with on.database.snapshot() as tx:
        return tx.limits.locked(now=on.clock())


def lift_lockout(kind: FailureKind, name: str, *, actor: str, on: Stores) -> None:
    """Let a subject or an API key (by its id) in again. Raises NotFound when it is not locked out."""
    subject_id = name if kind is FailureKind.SUBJECT else ""
    counted = subject_digest(name, on=on) if subject_id else name
    with on.database.transaction() as tx:
        now = on.clock()
        counter = tx.limits.failures(kind, counted, now=now)
        if counter.locked_until is None or counter.locked_until <= now:
            raise NotFound("it is not locked out", next_step="List the lock-outs with: recon limits show")
        tx.limits.set_failures(replace(counter, failures=0, since=now, locked_until=None))
        record(
            tx,
            on=on,
            action="lock-out.lifted",
            actor=actor,
            subject_id=subject_id,
            object_id="" if subject_id else name,
        )


_Named = tuple[FailureKind, str, int]


def _names(subject_id: str, api_key_id: str, policy: LockoutPolicy, on: Stores) -> list[_Named]:
    # Always in this order: two requests must not wait for each other.
    of_key = (FailureKind.API_KEY, api_key_id, policy.api_key)
    of_subject = (FailureKind.SUBJECT, subject_digest(subject_id, on=on), policy.subject)
    return [named for named in (of_key, of_subject) if named[2] and named[1]]


def _attempted(
    tx: Transaction, kind: FailureKind, name: str, limit: int, policy: LockoutPolicy, now: datetime
) -> FailureCounter:
    counter = tx.limits.failures(kind, name, now=now)
    until = counter.locked_until
    if until is not None and now < until <= now + policy.duration:
        raise _refusal(kind, until - now)
    if until is not None or abs(now - counter.since) > policy.window:
        counter = replace(counter, failures=0, since=now, locked_until=None)
    failures = counter.failures + 1
    return replace(
        counter, failures=failures, locked_until=now + policy.duration if failures >= limit else None
    )


def _refusal(kind: FailureKind, wait: timedelta) -> LockedOut:
    what = "subject" if kind is FailureKind.SUBJECT else "API key"
    refusal = LockedOut(
        f"too many verifications without a match: this {what} is locked out for a while",
        next_step="Wait for the time in Retry-After, or have it lifted by operations: recon limits lift",
    )
    refusal.retry_after_s = max(1, round(wait.total_seconds()))
    return refusal


def _give_back(
    tx: Transaction, kind: FailureKind, name: str, limit: int, now: datetime, *, all_of_them: bool
) -> None:
    counter = tx.limits.failures(kind, name, now=now)
    failures = 0 if all_of_them else max(0, counter.failures - 1)
    locked_until = counter.locked_until if failures >= limit else None
    tx.limits.set_failures(replace(counter, failures=failures, locked_until=locked_until))


def _settle(
    subject_id: str,
    api_key_id: str,
    outcome: VerificationOutcome,
    names: list[_Named],
    spent: SpentNonce | None,
    on: Stores,
) -> None:
    decision = outcome.result.decision
    with on.database.transaction() as tx:
        if spent is not None and decision is not Decision.INCONCLUSIVE:
            end_session(tx, spent)
        locked: list[FailureKind] = []
        for kind, name, limit in names:
            if decision is Decision.MATCH:
                # The subject was there; of the key's other failures that says nothing.
                _give_back(tx, kind, name, limit, on.clock(), all_of_them=kind is FailureKind.SUBJECT)
            elif tx.limits.failures(kind, name, now=on.clock()).locked_until is not None:
                locked.append(kind)
        record(
            tx,
            on=on,
            action="verification",
            actor=api_key_id,
            subject_id=subject_id,
            object_id=spent.session.session_id if spent else "",
            outcome=(decision.value, *(code for code, _ in outcome.result.reasons)),
        )
        for kind in locked:
            record(
                tx,
                on=on,
                action="lock-out",
                actor=api_key_id,
                subject_id=subject_id if kind is FailureKind.SUBJECT else "",
                object_id=api_key_id if kind is FailureKind.API_KEY else "",
            )

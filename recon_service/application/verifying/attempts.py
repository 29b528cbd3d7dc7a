"""Attempts to be taken for somebody, in a verification or in a search among all.

An attempt counts as failed before anything is compared and is given back when it turns out otherwise, so
that many requests at one moment get no more comparisons than the same number in a row. With a kiosk session
its nonce is used up in the same transaction. Whatever names nobody counts, inconclusive captures too. The
counters are in the database and hold for all processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.errors import LockedOut
from recon_service.application.keeping.audit import record, subject_digest
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.access import FailureCounter, FailureKind
from recon_service.application.records.kiosks import PresentedProof
from recon_service.application.verifying.kiosk_sessions import (
    REFUSALS,
    SpentNonce,
    digests_of_frames,
    end_session,
    forget_attempt,
    record_refusal,
    refuse_replay,
    spend_nonce,
)
from recon_service.domain.errors import StorageFault

VERIFICATION: Final = "verification"
IDENTIFICATION: Final = "identification"


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """subject, api_key, identification: failures within ``window`` that lock for ``duration``; 0: never. The
    last two are both of one API key: its verifications, and its searches that named nobody.
    """

    subject: int = 10
    api_key: int = 100
    identification: int = 100
    window: timedelta = timedelta(minutes=15)
    duration: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter of failures. name: an API key's id, or the keyed digest of a subject's."""

    kind: FailureKind
    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that is counted as failed. action: its name in the audit log. subject_id: empty in a search among
    all. spent: the nonce of its kiosk session, where it has one.
    """

    action: str
    subject_id: str
    api_key_id: str
    counters: tuple[Counted, ...]
    spent: SpentNonce | None


def begin_verification(
    subject_id: str,
    *,
    api_key_id: str,
    policy: LockoutPolicy,
    presented: PresentedProof | None = None,
    on: Stores,
) -> Attempt:
    """Raises LockedOut, StorageFault, and what ``spend_nonce`` and ``refuse_replay`` raise: a replay stays
    counted as a failure.
    """
    # Always in this order: two requests must not wait for each other.
    counters = (
        Counted(FailureKind.API_KEY, api_key_id, policy.api_key),
        Counted(FailureKind.SUBJECT, subject_digest(subject_id, on=on), policy.subject),
    )
    return _begin(VERIFICATION, subject_id, api_key_id, counters, policy, presented, on)


def begin_identification(
    *, api_key_id: str, policy: LockoutPolicy, presented: PresentedProof | None = None, on: Stores
) -> Attempt:
    """Counted apart from verifications: who is not enrolled at all is no sign of an impostor. Raises the same
    as ``begin_verification``.
    """
    counters = (Counted(FailureKind.IDENTIFICATION, api_key_id, policy.identification),)
    return _begin(IDENTIFICATION, "", api_key_id, counters, policy, presented, on)


def void(attempt: Attempt, *, on: Stores) -> None:
    """Nothing could be compared: it does not count, and its frames may come again. The nonce stays used."""
    with suppress(StorageFault), on.database.transaction() as tx:  # else it stays counted
        if attempt.spent is not None:
            forget_attempt(tx, attempt.spent)
        for counted in attempt.counters:
            _give_back(tx, counted, on.clock(), all_of_them=False)


def settle(
    attempt: Attempt,
    *,
    outcome: Sequence[str],
    failed: bool,
    decided: bool,
    cleared: Collection[FailureKind] = (),
    first: Callable[[Transaction], Sequence[str]] = lambda tx: (),
    on: Stores,
) -> None:
    """Into the audit log, before anybody hears of it. failed: it stays counted, and may lock; else it is
    given back, of the counters in ``cleared`` with all failures before it. decided: the visit is over.
    first: done before all else in the same transaction; what it returns joins the outcome. Raises
    StorageFault.
    """
    with on.database.transaction() as tx:
        further = first(tx)
        if attempt.spent is not None and decided:
            end_session(tx, attempt.spent)
        locked: list[FailureKind] = []
        for counted in attempt.counters:
            if not failed:
                _give_back(tx, counted, on.clock(), all_of_them=counted.kind in cleared)
            elif tx.limits.failures(counted.kind, counted.name, now=on.clock()).locked_until is not None:
                locked.append(counted.kind)
        record(
            tx,
            on=on,
            action=attempt.action,
            actor=attempt.api_key_id,
            subject_id=attempt.subject_id,
            object_id=attempt.spent.session.session_id if attempt.spent else "",
            outcome=(*outcome, *further),
        )
        for kind in locked:
            of_subject = kind is FailureKind.SUBJECT
            record(
                tx,
                on=on,
                action="lock-out",
                actor=attempt.api_key_id,
                subject_id=attempt.subject_id if of_subject else "",
                object_id="" if of_subject else attempt.api_key_id,
                outcome=(kind.value,),
            )


def _begin(
    action: str,
    subject_id: str,
    api_key_id: str,
    counters: Sequence[Counted],
    policy: LockoutPolicy,
    presented: PresentedProof | None,
    on: Stores,
) -> Attempt:
    used = tuple(counted for counted in counters if counted.limit and counted.name)
    frames = digests_of_frames(presented, on=on)
    try:
        with on.database.transaction() as tx:
            spent = (
                spend_nonce(tx, presented, frames=frames, subject_id=subject_id, api_key_id=api_key_id, on=on)
                if presented
                else None
            )
            for counted in used:
                tx.limits.set_failures(_attempted(tx, counted, policy, on.clock()))
        refuse_replay(spent)
    except REFUSALS as fault:
        if presented is not None:
            record_refusal(
                fault, presented, action=action, subject_id=subject_id, api_key_id=api_key_id, on=on
            )
        raise
    return Attempt(action, subject_id, api_key_id, used, spent)


def _attempted(tx: Transaction, counted: Counted, policy: LockoutPolicy, now: datetime) -> FailureCounter:
    counter = tx.limits.failures(counted.kind, counted.name, now=now)
    until = counter.locked_until
    if until is not None and now < until <= now + policy.duration:
        raise _refusal(counted.kind, until - now)
    if until is not None or abs(now - counter.since) > policy.window:
        counter = replace(counter, failures=0, since=now, locked_until=None)
    failures = counter.failures + 1
    locked_until = now + policy.duration if failures >= counted.limit else None
    return replace(counter, failures=failures, locked_until=locked_until)


_LOCKED: Final = {
    FailureKind.SUBJECT: "verifications without a match: this subject",
    FailureKind.API_KEY: "verifications without a match: this API key",
    FailureKind.IDENTIFICATION: "searches that named nobody: this API key",
}


def _refusal(kind: FailureKind, wait: timedelta) -> LockedOut:
    refusal = LockedOut(
        f"too many {_LOCKED[kind]} is locked out for a while",
        next_step="Wait for the time in Retry-After, or have it lifted by operations: recon limits lift",
    )
    refusal.retry_after_s = max(1, round(wait.total_seconds()))
    return refusal


def _give_back(tx: Transaction, counted: Counted, now: datetime, *, all_of_them: bool) -> None:
    counter = tx.limits.failures(counted.kind, counted.name, now=now)
    failures = 0 if all_of_them else max(0, counter.failures - 1)
    locked_until = counter.locked_until if failures >= counted.limit else None
    tx.limits.set_failures(replace(counter, failures=failures, locked_until=locked_until))

"""Retention by consent: what is stored of a person goes when the consent ends.

The newest consent of a subject counts. When it has ended, the whole subject is destroyed, with a receipt.
Consents before it that have ended take with them what belonged to them alone: selfies that were kept, and
versions of the template that are not in force any more.

Ends are decided by clocks, and clocks jump: ``steady_clock`` says when they are believed. An enrollment that
is still open is left to end first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.errors import StorageUnavailable
from recon_service.application.keeping.audit import SERVICE, operation_digest, record
from recon_service.application.keeping.objects import delete_doomed
from recon_service.application.keeping.steady_clock import ClockWatch
from recon_service.application.keeping.withdrawals import note_withdrawals, withdraw_consent
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.consents import Consent, consent_in_force, probes_allowed
from recon_service.application.records.identifiers import check_consent_id, check_subject_id, new_id
from recon_service.application.templates.subjects import after_erasure, erase_subject, no_such_subject
from recon_service.application.verifying.recent_probes import forget_unless_allowed
from recon_service.domain.errors import InvalidValue, ReconError

SWEPT_AT_ONCE: Final = 200
MAX_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """longest: no consent lasts longer, whatever it says; None: as it says. hold: how long the clock must
    have run evenly before anything is destroyed by it.
    """

    longest: timedelta | None = None
    hold: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class EndingConsent:
    """A subject whose consent ends. consent: the one in force."""

    subject_id: str
    consent: Consent
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ConsentsSwept:
    """subjects: destroyed. consents: whose selfies and former templates went. held: subjects that were due
    and are still there, because the clock is not believed. doubt: why it is not.
    """

    subjects: int = 0
    consents: int = 0
    held: int = 0
    doubt: str = ""


def renew_consent(
    subject_id: str,
    consent_id: str,
    expires_at: datetime | None,
    *,
    actor: str,
    on: Stores,
    keep_probes: bool | None = None,
) -> Consent:
    """A newer consent for all that is stored of a subject. keep_probes: whether what verifications see may be
    kept; None: as before. Where it may not, what was kept goes at once. Raises NotFound, InvalidValue.
    """
    check_subject_id(subject_id)
    check_consent_id(consent_id)
    check_expiry(expires_at, on.clock())
    with on.database.transaction() as tx:
        if tx.subjects.key(subject_id, lock=True) is None:
            raise no_such_subject()
        before = tx.consents.of_subject(subject_id)
        if keep_probes is None:
            keep_probes = probes_allowed(before, on.clock())
        consent = Consent(
            new_id("cns"), subject_id, None, consent_id, on.clock(), expires_at, keep_probes=keep_probes
        )
        tx.consents.add(consent)
        withdraw_consent(before, consent, tx, on=on)
        forget_unless_allowed(subject_id, tx=tx, on=on)
        said = ("keep-probes",) if keep_probes else ()
        record(tx, on=on, action="consent.renewed", actor=actor, subject_id=subject_id, outcome=said)
    note_withdrawals(on=on)
    return consent


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Raises InvalidValue for an end that is not in the future, or whose time zone is unknown."""
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidValue(
            "the end of a consent needs a time zone", next_step="For example: 2027-03-01T00:00:00Z"
        )
    if expires_at is not None and expires_at <= now:
        raise InvalidValue(
            "the consent has ended already", next_step="Send an end in the future, or delete the subject."
        )


def current_consent(subject_id: str, *, policy: ConsentPolicy, on: Stores) -> tuple[Consent, datetime | None]:
    """The consent in force and its end. Raises NotFound: no such subject, or one without a consent (an
    imported template).
    """
    check_subject_id(subject_id)
    with on.database.snapshot() as tx:
        if tx.subjects.key(subject_id) is None:
            raise no_such_subject()
        consent = consent_in_force(tx.consents.of_subject(subject_id))
    if consent is None:
        raise no_such_subject()
    return consent, consent.end(policy.longest)


def ending_consents(
    *, within: timedelta, policy: ConsentPolicy, on: Stores, limit: int = 100, after: str = ""
) -> list[EndingConsent]:
    """Subjects that will be destroyed within that time, in order of their ids and after ``after``."""
    until = on.clock() + within
    found: list[EndingConsent] = []
    with on.database.snapshot() as tx:
        while len(found) < limit:
            ids = _ended(tx, until, policy, limit=MAX_LISTED, after=after)
            for after in ids:
                consent = consent_in_force(tx.consents.of_subject(after))
                ends_at = consent.end(policy.longest) if consent else None
                if consent is not None and ends_at is not None and ends_at < until:
                    found.append(EndingConsent(after, consent, ends_at))
                if len(found) == limit:
                    break
            if len(ids) < MAX_LISTED:
                break
    return found


def sweep_consents(
    *,
    policy: ConsentPolicy,
    watch: ClockWatch,
    monotonic_s: float,
    on: Stores,
    own_clock: Callable[[], datetime] | None = None,
) -> ConsentsSwept:
    """Destroy what has no consent any more, if the clock is believed. own_clock: of this process, to compare
    that of the database with; None: the one that processes share. Raises StorageFault, after all others where
    it is of one subject; the next sweep does the rest.
    """
    with on.database.transaction() as tx:
        wall, database = (own_clock or on.clock)(), tx.consents.now()
        noted = tx.consents.note_time(wall)
        believed = watch.believes(wall, monotonic_s=monotonic_s, database=database, noted=noted)
        # By the slower of two clocks: late does no harm.
        now = min(wall, database)
        due = _ended(tx, now, policy, limit=SWEPT_AT_ONCE)
    if not believed:
        return ConsentsSwept(held=len(due), doubt=watch.doubt)
    subjects = consents = 0
    fault: ReconError | None = None
    while due:
        for subject_id in due:
            try:
                erased, swept = _sweep_subject(subject_id, now, policy, on)
            except StorageUnavailable:
                raise
            except ReconError as failed:
                fault = fault or failed  # of one subject; those behind it do not wait for it
            else:
                subjects, consents = subjects + erased, consents + swept
        # Whose enrollment is still open stays due: such subjects must not hold up all behind them either.
        enough = subjects + consents >= SWEPT_AT_ONCE or len(due) < SWEPT_AT_ONCE
        due = [] if enough else _next(due[-1], now, policy, on)
    if fault is not None:
        raise fault
    return ConsentsSwept(subjects, consents)


def _next(after: str, now: datetime, policy: ConsentPolicy, on: Stores) -> list[str]:
    with on.database.snapshot() as tx:
        return _ended(tx, now, policy, limit=SWEPT_AT_ONCE, after=after)


def _ended(
    tx: Transaction, moment: datetime, policy: ConsentPolicy, *, limit: int, after: str = ""
) -> list[str]:
    given_before = moment - policy.longest if policy.longest is not None else None
    return tx.consents.ended(expired_before=moment, given_before=given_before, limit=limit, after=after)


def _sweep_subject(subject_id: str, now: datetime, policy: ConsentPolicy, on: Stores) -> tuple[int, int]:
    objects: list[str] = []
    with on.database.transaction() as tx:
        # Locked: nobody renews the consent between the look and the deletion.
        if tx.subjects.key(subject_id, lock=True) is None:
            return 0, 0
        consents = tx.consents.of_subject(subject_id)
        newest = consent_in_force(consents)
        if newest is None or (newest.state is not None and not newest.state.ended):
            return 0, 0
        if _over(newest, now, policy):
            _, doomed = erase_subject(tx, subject_id, actor=SERVICE, reason="consent-ended", on=on)
            erased, swept = True, 0
            objects += doomed
        else:
            ended = [c for c in consents if not c.swept and _over(c, now, policy)]
            erased, swept = False, len(ended)
            objects += _let_go(tx, subject_id, ended, on)
    if erased:
        after_erasure(objects, on=on)
    else:
        delete_doomed(objects, on=on)
    return int(erased), swept


def _over(consent: Consent, now: datetime, policy: ConsentPolicy) -> bool:
    end = consent.end(policy.longest)
    return end is not None and end < now and (consent.state is None or consent.state.ended)


def _let_go(tx: Transaction, subject_id: str, ended: Sequence[Consent], on: Stores) -> list[str]:
    objects: list[str] = []
    for consent in ended:
        tx.consents.mark_swept(consent.consent_row)
        if consent.operation_id is None:
            continue
        keys = [s.object_key for s in tx.selfies.of(consent.operation_id)]
        tx.selfies.forget(consent.operation_id)
        tx.loose_objects.doom(keys, now=on.clock())
        templates = tx.consents.destroy_templates(consent.operation_id)
        objects += keys
        record(
            tx,
            on=on,
            action="consent.ended",
            actor=SERVICE,
            subject_id=subject_id,
            object_id=operation_digest(consent.operation_id, on=on),
            outcome=(f"selfies {len(keys)}", f"templates {len(templates)}"),
        )
    return objects

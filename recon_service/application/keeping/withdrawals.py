"""Withdrawals beside the database: a restore from a backup must not give back what a person or an operator
has taken back since.

As with receipts of deletions, each is a row, written with the withdrawal itself, and a note in the object
store, which is not restored together with the database. A note that the database does not know is carried
out again. It counts only if its authentication is ours: a forged one takes back nothing.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from recon_service.application.keeping.audit import SERVICE, record, subject_digest
from recon_service.application.keeping.revocations import REAPPLIED
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.consents import Consent, consent_in_force, probes_allowed
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.withdrawals import Withdrawal, WithdrawalKind
from recon_service.domain.errors import Conflict, NotFound, StorageFault

PREFIX: Final = "withdrawals/"
EXPORTED_AT_ONCE: Final = 500
OF_SUBJECTS: Final = (WithdrawalKind.MEMBER, WithdrawalKind.CONSENT)


def withdraw(kind: WithdrawalKind, about: str, tx: Transaction, *, on: Stores, detail: str = "") -> None:
    """In the transaction of the withdrawal; after it ``note_withdrawals``."""
    tx.withdrawals.add(Withdrawal(new_id("wd"), kind, about, on.clock(), detail))


def withdraw_consent(before: list[Consent], after: Consent, tx: Transaction, *, on: Stores) -> None:
    """Where the newer consent allows less than those before it."""
    counted = consent_in_force(before)
    if counted is None:
        return
    kept = probes_allowed(before, on.clock()) and not after.keep_probes
    if kept or _earlier(counted.expires_at, after.expires_at) != counted.expires_at:
        ends = after.expires_at.isoformat() if after.expires_at else None
        left = json.dumps({"keep_probes": after.keep_probes, "expires_at": ends})
        withdraw(WithdrawalKind.CONSENT, subject_digest(after.subject_id, on=on), tx, on=on, detail=left)


def note_withdrawals(*, on: Stores) -> None:
    """After the commit. Never raises StorageFault: ``reapply_withdrawals`` writes what is missing."""
    with suppress(StorageFault):
        _export(on)


def reapply_withdrawals(*, on: Stores) -> int:
    """Write the notes that are missing, and take back again what a note speaks of and the database knows
    nothing about; how much. Raises StorageFault.
    """
    _export(on)
    with on.database.snapshot() as tx:
        known = tx.withdrawals.ids()
    unknown = sorted(_noted(known, on), key=lambda one: one.at)
    subjects = _subjects_of(unknown, on)
    again = 0
    for withdrawal in unknown:
        subject_id = subjects.get(withdrawal.about, "")
        with suppress(Conflict), on.database.transaction() as tx:  # Conflict: another process was faster
            tx.withdrawals.add(withdrawal, exported_at=on.clock())
            if withdrawal.kind in OF_SUBJECTS and not subject_id:
                continue
            if _AGAIN[withdrawal.kind](withdrawal, subject_id, tx, on):
                record(
                    tx,
                    on=on,
                    action=_ACTIONS[withdrawal.kind],
                    actor=SERVICE,
                    subject_id=subject_id,
                    object_id="" if subject_id else withdrawal.about,
                    outcome=(REAPPLIED,),
                )
                again += 1
    return again


def _export(on: Stores) -> None:
    with on.database.snapshot() as tx:
        waiting = tx.withdrawals.unexported(limit=EXPORTED_AT_ONCE)
    for one in waiting:
        note = {
            "kind": one.kind.value,
            "about": one.about,
            "at": one.at.isoformat(),
            "detail": one.detail,
            "authentication": _authentication(one, on),
        }
        on.objects.put(PREFIX + one.withdrawal_id, json.dumps(note).encode())
        with on.database.transaction() as tx:
            tx.withdrawals.mark_exported(one.withdrawal_id, now=on.clock())


def _noted(known: set[str], on: Stores) -> Iterator[Withdrawal]:
    for key in on.objects.list_keys(PREFIX):
        withdrawal_id = key.removeprefix(PREFIX)
        if withdrawal_id in known:
            continue
        with suppress(ValueError, KeyError, TypeError, NotFound):  # not a note of ours
            note: Any = json.loads(on.objects.get(key))
            found = Withdrawal(
                withdrawal_id,
                WithdrawalKind(note["kind"]),
                str(note["about"]),
                datetime.fromisoformat(note["at"]),
                str(note["detail"]),
            )
            said = str(note["authentication"])
            if hmac.compare_digest(said.encode(), _authentication(found, on).encode()):
                yield found


def _authentication(withdrawal: Withdrawal, on: Stores) -> str:
    return on.vault.digest("withdrawal", *withdrawal.statement())


def _subjects_of(withdrawals: list[Withdrawal], on: Stores) -> dict[str, str]:
    """The subjects that they are about, by their digests."""
    wanted = {one.about for one in withdrawals if one.kind in OF_SUBJECTS}
    if not wanted:
        return {}
    with on.database.snapshot() as tx:
        named = ((subject_digest(one, on=on), one) for one, _ in tx.subjects.enrolled_since())
        return {digest: subject_id for digest, subject_id in named if digest in wanted}


def _revoke_kiosk(withdrawal: Withdrawal, _subject_id: str, tx: Transaction, on: Stores) -> bool:
    kiosk = tx.edge.kiosk(withdrawal.about, lock=True)
    if kiosk is None or kiosk.revoked_at is not None:
        return False
    tx.edge.update_kiosk(replace(kiosk, revoked_at=on.clock()))
    return True


def _remove_webhook(withdrawal: Withdrawal, _subject_id: str, tx: Transaction, _on: Stores) -> bool:
    return tx.webhooks.remove(withdrawal.about)


def _remove_member(withdrawal: Withdrawal, subject_id: str, tx: Transaction, _on: Stores) -> bool:
    """Unless it became one again later."""
    added_at = tx.edge.member_since(withdrawal.detail, subject_id)
    if added_at is None or added_at > withdrawal.at:
        return False
    return tx.edge.remove_member(withdrawal.detail, subject_id)


def _narrow_consent(withdrawal: Withdrawal, subject_id: str, tx: Transaction, on: Stores) -> bool:
    """Unless a later consent counts. It allows what both allow."""
    if tx.subjects.key(subject_id, lock=True) is None:
        return False
    before = tx.consents.of_subject(subject_id)
    counted, allowed = consent_in_force(before), probes_allowed(before, on.clock())
    if counted is None or counted.given_at > withdrawal.at:
        return False
    left = json.loads(withdrawal.detail)
    said = datetime.fromisoformat(left["expires_at"]) if left["expires_at"] else None
    ends = _earlier(counted.expires_at, said)
    if (ends, allowed and left["keep_probes"]) == (counted.expires_at, allowed):
        return False
    tx.consents.add(
        Consent(
            new_id("cns"),
            subject_id,
            None,
            counted.consent_id,
            withdrawal.at,
            ends,
            keep_probes=allowed and left["keep_probes"],
        )
    )
    if not left["keep_probes"]:
        tx.recent_probes.forget(subject_id)
    return True


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((end for end in (one, other) if end is not None), default=None)


_AGAIN: Final[dict[WithdrawalKind, Callable[[Withdrawal, str, Transaction, Stores], bool]]] = {
    WithdrawalKind.KIOSK: _revoke_kiosk,
    WithdrawalKind.WEBHOOK: _remove_webhook,
    WithdrawalKind.MEMBER: _remove_member,
    WithdrawalKind.CONSENT: _narrow_consent,
}
_ACTIONS: Final = {
    WithdrawalKind.KIOSK: "edge.kiosk-revoked",
    WithdrawalKind.WEBHOOK: "webhook.removed",
    WithdrawalKind.MEMBER: "edge.member-removed",
    WithdrawalKind.CONSENT: "consent.renewed",
}

"""Kiosk sessions: a verification, or a search among all, is made for one nonce, and no capture is looked at
for two visits.

A session is one visit. It hands out nonces, one at a time, and each is good for one attempt: after a
faulty line or an inconclusive answer the kiosk asks for the next one, and may send the same frames again. A
decision ends the session. Frames that another session brought are refused: two exposures of a sensor are
never equal, so that this costs no genuine visit.

Nonces are derived (keyed digest of the session's id and the nonce's number), so that the database holds none
and every process knows them all.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.errors import (
    CaptureReplayed,
    KioskProofInvalid,
    KioskSessionInvalid,
    KioskSessionRequired,
    NonceUsed,
)
from recon_service.application.keeping.audit import record, subject_digest
from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores
from recon_service.application.records.identifiers import check_subject_id, new_id
from recon_service.application.records.kiosks import IssuedNonce, KioskSession, PresentedProof
from recon_service.domain.errors import CallerError
from recon_service.domain.kiosk_proof import capture_proof

MAX_NONCES: Final = 8
"""Of one session: the frames of a visit are not tried for ever."""
SESSION_REMEMBERED: Final = timedelta(hours=1)
"""How long the sweeper leaves sessions that are over."""
REFUSALS: Final = (KioskSessionInvalid, NonceUsed, KioskProofInvalid, CaptureReplayed)
"""What an attempt meets whose session, nonce, proof or capture is not what it should be."""


@dataclass(frozen=True, slots=True)
class KioskPolicy:
    """required: an attempt without a session is refused. lifetime: of a session. replay: how long the
    digests of captures are kept.
    """

    required: bool = False
    lifetime: timedelta = timedelta(seconds=120)
    replay: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class SpentNonce:
    """A nonce that was just used up. new: digests of the frames that nobody had brought before. replayed:
    another session had brought one of them.
    """

    session: KioskSession
    new: tuple[str, ...]
    replayed: bool


def open_session(
    subject_id: str | None, *, api_key_id: str, client: str = "", policy: KioskPolicy, on: Stores
) -> IssuedNonce:
    """Begin a visit. subject_id: the only subject that it may verify; None: any. Raises InvalidValue,
    StorageFault.
    """
    if subject_id is not None:
        check_subject_id(subject_id)
    now = on.clock()
    session = KioskSession(
        session_id=new_id("ks"),
        api_key_id=api_key_id,
        subject=subject_digest(subject_id, on=on) if subject_id else "",
        client=_client_digest(client, on),
        opened_at=now,
        expires_at=now + policy.lifetime,
    )
    with on.database.transaction() as tx:
        tx.kiosk_sessions.add(session)
        record(
            tx,
            on=on,
            action="kiosk-session.opened",
            actor=api_key_id,
            subject_id=subject_id or "",
            object_id=session.session_id,
        )
    return _issued(session, now, on)


def next_nonce(session_id: str, *, api_key_id: str, client: str = "", on: Stores) -> IssuedNonce:
    """Another nonce for the same visit; the one before is void. Raises KioskSessionInvalid."""
    with on.database.transaction() as tx:
        now = on.clock()
        session = _good(tx.kiosk_sessions.get(session_id), api_key_id, client, now, on)
        if session.issued >= MAX_NONCES:
            raise KioskSessionInvalid(
                f"a session has {MAX_NONCES} nonces at most", next_step="Open a new session and capture anew."
            )
        session = replace(session, issued=session.issued + 1)
        tx.kiosk_sessions.update(session)
    return _issued(session, now, on)


def required_proof(presented: PresentedProof | None, policy: KioskPolicy) -> None:
    """Raises KioskSessionRequired when there is none and there has to be one."""
    if presented is None and policy.required:
        raise KioskSessionRequired(
            "a kiosk session is needed here",
            next_step="POST /v1/kiosk-sessions before the capture, and send Kiosk-Session and Kiosk-Proof.",
        )


def digests_of_frames(presented: PresentedProof | None, *, on: Stores) -> tuple[str, ...]:
    """By which frames are known again. They are large: not while others wait for a transaction."""
    return tuple(on.vault.digest("capture", frame) for frame in presented.frames) if presented else ()


def spend_nonce(
    tx: Transaction,
    presented: PresentedProof,
    *,
    frames: Sequence[str],
    subject_id: str,
    api_key_id: str,
    on: Stores,
) -> SpentNonce:
    """Use up the nonce that the proof was made with, and remember the frames; before anything is compared.
    frames: ``digests_of_frames``. subject_id: empty in a search among all, which a session for one subject is
    not good for.

    A replay is told in the value, so that this transaction can be committed; ``refuse_replay`` raises it.
    Raises KioskSessionInvalid, NonceUsed, KioskProofInvalid, which use up nothing.
    """
    now = on.clock()
    session = _good(tx.kiosk_sessions.get(presented.session_id), api_key_id, presented.client, now, on)
    if session.subject and session.subject != subject_digest(subject_id, on=on):
        raise _invalid()
    if session.spent >= session.issued:
        raise NonceUsed(
            "the nonce of this session was used before",
            next_step="Ask for the next one: POST /v1/kiosk-sessions/{session_id}/nonces.",
        )
    expected = capture_proof(_nonce(session, on), presented.statement)
    if not hmac.compare_digest(expected.encode(), presented.proof.encode()):
        raise KioskProofInvalid(
            "the proof does not belong to this capture and the newest nonce of the session",
            next_step="Compute it over the parts exactly as they are sent; docs/api.md has an example.",
        )
    session = replace(session, spent=session.issued)
    tx.kiosk_sessions.update(session)
    new, replayed = tx.kiosk_sessions.remember(frames, session_id=session.session_id, now=now)
    return SpentNonce(session, tuple(new), replayed)


def refuse_replay(spent: SpentNonce | None) -> None:
    """Raises CaptureReplayed when another session has brought these frames."""
    if spent is not None and spent.replayed:
        raise CaptureReplayed(
            "frames of this capture came before, in another session",
            next_step="Capture anew; frames of one visit may only be sent again in its own session.",
        )


def forget_attempt(tx: Transaction, spent: SpentNonce) -> None:
    """Nothing was compared: the frames may come again, also in another session. The nonce stays used."""
    tx.kiosk_sessions.forget(spent.new, session_id=spent.session.session_id)


def end_session(tx: Transaction, spent: SpentNonce) -> None:
    """There was a decision: the visit is over."""
    session = tx.kiosk_sessions.get(spent.session.session_id)
    if session is not None:
        tx.kiosk_sessions.update(replace(session, ended=True))


def record_refusal(
    fault: CallerError,
    presented: PresentedProof,
    *,
    action: str,
    subject_id: str,
    api_key_id: str,
    on: Stores,
) -> None:
    """Somebody sent what a genuine kiosk would not have sent. action: what it was for. Raises
    StorageFault.
    """
    with on.database.transaction() as tx:
        known = tx.kiosk_sessions.get(presented.session_id) is not None
        record(
            tx,
            on=on,
            action=f"{action}.refused",
            actor=api_key_id,
            subject_id=subject_id,
            object_id=presented.session_id if known else "",
            outcome=(fault.code,),
        )


def _good(
    session: KioskSession | None, api_key_id: str, client: str, now: datetime, on: Stores
) -> KioskSession:
    if (
        session is None
        or session.ended
        or session.api_key_id != api_key_id
        or session.client != _client_digest(client, on)
        # A clock that was put back must not make a session live longer.
        or not session.opened_at - timedelta(seconds=5) <= now < session.expires_at
    ):
        raise _invalid()
    return session


def _invalid() -> KioskSessionInvalid:
    # One answer for all: whose session it is, is nobody's business.
    return KioskSessionInvalid(
        "there is no such session for this key, client and subject, or it is over",
        next_step="Open a new session and capture anew.",
    )


def _issued(session: KioskSession, now: datetime, on: Stores) -> IssuedNonce:
    return IssuedNonce(
        session.session_id,
        _nonce(session, on),
        MAX_NONCES - session.issued,
        session.expires_at,
        (session.expires_at - now).total_seconds(),
    )


def _nonce(session: KioskSession, on: Stores) -> str:
    return on.vault.digest("kiosk-nonce", session.session_id.encode(), str(session.issued).encode())


def _client_digest(client: str, on: Stores) -> str:
    return on.vault.digest("kiosk-client", client.encode()) if client else ""

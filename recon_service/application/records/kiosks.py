"""Kiosk sessions as they are kept and handed around."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KioskSession:
    """One visit to one kiosk. subject: keyed digest of the only subject it may verify, or empty. client:
    keyed digest of the client certificate it was opened with, or empty. issued: how many nonces were handed
    out, of which only the last is good; spent: number of the last that was used. ended: decided.
    """

    session_id: str
    api_key_id: str
    subject: str
    client: str
    opened_at: datetime
    expires_at: datetime
    issued: int = 1
    spent: int = 0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class IssuedNonce:
    """What the kiosk is told. attempts_left: how many further nonces the session can be given."""

    session_id: str
    nonce: str = field(repr=False)
    attempts_left: int
    expires_at: datetime
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class PresentedProof:
    """What came with a capture. statement: what the proof has to cover (``domain.kiosk_proof``). frames: the
    bytes of each depth frame, of which a keyed digest is remembered.
    """

    session_id: str
    proof: str = field(repr=False)
    statement: bytes
    frames: tuple[bytes, ...] = field(repr=False)
    client: str = ""

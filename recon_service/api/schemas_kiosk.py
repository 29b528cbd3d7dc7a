"""Bodies of kiosk sessions, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from recon_service.api.schemas import Asked, Body
from recon_service.application.records.kiosks import IssuedNonce
from recon_service.domain.kiosk_proof import PROOF_VERSION


class KioskSessionRequest(Asked):
    """What a kiosk says when a visit begins."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject_id": "user-8c41"}]})

    subject_id: str | None = Field(
        None,
        max_length=64,
        description="The only subject that this visit may verify; null: any, or a search among all.",
    )


class KioskSessionBody(Body):
    """A nonce, good for one verification or identification."""

    session_id: str = Field(
        examples=["ks_5f0c3c1e8b1f4c0f9d3f3a5b8c7e6d21"], description="For the header `Kiosk-Session`."
    )
    nonce: str = Field(
        examples=["9c3e1f0a7b5d4826f1e0d9c8b7a6958473625140f0e1d2c3b4a5968778695a4b"],
        description="Key of the proof: 32 bytes as 64 hexadecimal digits. It is never sent back.",
    )
    proof: Literal["recon-kiosk-1"] = Field(
        description="How `Kiosk-Proof` is computed; docs/api.md describes it."
    )
    attempts_left: int = Field(description="How many further nonces this session can be given.")
    expires_at: datetime = Field(description="When the session ends.")
    expires_in_seconds: float = Field(
        description="Seconds until then, for kiosks whose clock is not trusted."
    )


EXAMPLE: Final[dict[str, Any]] = {
    "session_id": "ks_5f0c3c1e8b1f4c0f9d3f3a5b8c7e6d21",
    "nonce": "9c3e1f0a7b5d4826f1e0d9c8b7a6958473625140f0e1d2c3b4a5968778695a4b",
    "proof": PROOF_VERSION,
    "attempts_left": 7,
    "expires_at": "2026-03-04T10:02:00.120000Z",
    "expires_in_seconds": 120.0,
}


def kiosk_session_body(issued: IssuedNonce) -> KioskSessionBody:
    """On the wire."""
    return KioskSessionBody(
        session_id=issued.session_id,
        nonce=issued.nonce,
        proof=PROOF_VERSION,
        attempts_left=issued.attempts_left,
        expires_at=issued.expires_at,
        expires_in_seconds=round(issued.expires_in_s, 3),
    )

"""What a kiosk says about itself in headers: session, proof and, through the proxy, its certificate."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header, Request

from recon_service.api.service import service_of
from recon_service.application.records.kiosks import PresentedProof
from recon_service.application.records.visits import KioskVisit
from recon_service.domain.errors import InvalidValue
from recon_service.domain.kiosk_proof import capture_statement

SessionHeader = Annotated[
    str | None,
    Header(
        alias="Kiosk-Session",
        description="The `session_id` of the kiosk session; with `Kiosk-Proof`, or neither.",
        max_length=64,
        json_schema_extra={"pattern": "^ks_[0-9a-f]{32}$"},
    ),
]
ProofHeader = Annotated[
    str | None,
    Header(
        alias="Kiosk-Proof",
        description="HMAC-SHA-256 over the parts of this request, keyed with the session's newest nonce; "
        "64 hexadecimal digits. docs/api.md has the lines that it is computed over.",
        max_length=64,
        json_schema_extra={"pattern": "^[0-9a-f]{64}$"},
    ),
]
_SESSION: Final = re.compile(r"ks_[0-9a-f]{32}")
_PROOF: Final = re.compile(r"[0-9a-f]{64}")


def client_of(request: Request) -> str:
    """The fingerprint of the client's certificate, as the proxy that checked it passes it on; else empty.

    Raises InvalidValue when there has to be one and the header is missing: the proxy did not set it.
    """
    name = service_of(request).settings.client_certificate_header
    if not name:
        return ""
    value = request.headers.get(name, "").strip().lower()
    if not value or len(value) > 1000:
        raise InvalidValue(
            "the request came without the fingerprint of a client certificate",
            next_step="Connect through the proxy that asks for certificates.",
        )
    return value


def presented_proof(
    request: Request,
    session: str | None,
    proof: str | None,
    *,
    subject_id: str,
    visit: KioskVisit,
    intrinsics: str,
    confirmed: str | None = None,
) -> PresentedProof | None:
    """What came with a capture; None: nothing did. Raises InvalidValue for half of it."""
    if session is None and proof is None:
        return None
    session, proof = session or "", proof or ""
    if not _SESSION.fullmatch(session) or not _PROOF.fullmatch(proof):
        raise InvalidValue(
            "Kiosk-Session and Kiosk-Proof belong together: the session's id, and 64 hexadecimal digits",
            next_step="See the kiosk sessions in docs/api.md.",
        )
    statement = capture_statement(
        session_id=session,
        subject_id=subject_id,
        depth=visit.depth,
        images=visit.images,
        intrinsics=intrinsics,
        confirmed=confirmed,
    )
    return PresentedProof(session, proof, statement, visit.depth, client_of(request))

"""What a kiosk computes to show that a capture was made for one nonce, and for nothing else.

The nonce never travels with the capture: it is the key of an HMAC-SHA-256 over the statement below. Who
reads a request on its way, or finds it in a log, has neither the nonce nor a proof for another request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

PROOF_VERSION: Final = "recon-kiosk-1"
NONCE_PATTERN: Final = re.compile(r"[0-9a-f]{64}")


def capture_statement(
    *,
    session_id: str,
    subject_id: str,
    depth: Sequence[bytes],
    images: Sequence[bytes],
    intrinsics: str,
    confirmed: str | None = None,
) -> bytes:
    """The text that a proof covers, in ASCII: version, session and subject, then one line per part in the
    order of the request, each with the SHA-256 of its bytes (of the intrinsics: of their UTF-8 text as it was
    sent), and last, where the request has that part, ``confirmed`` with the SHA-256 of its text. Lines end
    with a line feed. subject_id is empty where the request names no subject.
    """
    lines = [PROOF_VERSION, f"session {session_id}", f"subject {subject_id}"]
    lines += [f"depth {hashlib.sha256(frame).hexdigest()}" for frame in depth]
    lines += [f"image {hashlib.sha256(image).hexdigest()}" for image in images]
    lines.append(f"intrinsics {hashlib.sha256(intrinsics.encode()).hexdigest()}")
    if confirmed is not None:
        lines.append(f"confirmed {hashlib.sha256(confirmed.encode()).hexdigest()}")
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def capture_proof(nonce: str, statement: bytes) -> str:
    """64 hexadecimal digits: HMAC-SHA-256 of the statement; its key are the 32 bytes that the nonce spells.

    Raises ValueError for a nonce that is not 64 lower-case hexadecimal digits.
    """
    if not NONCE_PATTERN.fullmatch(nonce):
        raise ValueError("a nonce has 64 hexadecimal digits")
    return hmac.new(bytes.fromhex(nonce), statement, hashlib.sha256).hexdigest()

"""A bundle as bytes.

"RECON EDGE 1", LF 13 bytes
length of head     uint32, little endian
head               UTF-8 JSON: the fields of ``BundleHead`` and the signer's public key
signature          64 bytes: Ed25519 over all before it, and the SHA-256 of what comes after it
sealed             HPKE for the kiosk, with magic and head as its context: frames, each with its length
                   (uint32): terms (JSON), TOML and archive of the calibration, then one template each

Checked in this order: the form, who signed, for whom, that it is not older than one that was here, the time.
Nothing is decrypted before the signature holds.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from recon_service.application.ports.vault import Signer
from recon_service.application.records.edge import BundleContents, BundleHead, EdgeTerms
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.policy import Policy
from recon_service.domain.errors import CallerError, StorageFault
from recon_service.domain.template import Template
from recon_service.edge.errors import BundleAltered, BundleNotForThisKiosk
from recon_service.edge.keys import KioskKeys
from recon_service.edge.sealing import Unopened, sealed_for, unsealed
from recon_service.edge.state import EdgeState
from recon_service.formats.signing import is_signed_by
from recon_service.formats.template_format import BinaryTemplateFormat

MAGIC: Final = b"RECON EDGE 1\n"
_LENGTH: Final = struct.Struct("<I")
_SIGNATURE_BYTES: Final = 64
MAX_HEAD: Final = 10_000
_TIMES: Final = ("made_at", "expires_at")


@dataclass(frozen=True, slots=True)
class OpenBundle:
    """What a kiosk verifies with. templates: by subject."""

    head: BundleHead
    terms: EdgeTerms
    calibration: Calibration
    templates: Mapping[str, Template] = field(repr=False)

    @property
    def policy(self) -> Policy:
        """The service's, without what only the service does."""
        terms = self.terms
        return Policy(
            terms.policy,
            terms.match_above,
            terms.no_match_below,
            requires=terms.requires,
            may_use=terms.may_use,
            least_frames=terms.least_frames,
            match_on_general=terms.match_on_general,
        )


def write_bundle(head: BundleHead, contents: BundleContents, *, signer: Signer) -> bytes:
    """Sealed for ``head.recipient``. Raises InvalidValue for what is no key."""
    facts = {**asdict(head), **{name: getattr(head, name).isoformat() for name in _TIMES}}
    text = json.dumps({**facts, "signer": signer.public}, sort_keys=True).encode()
    start = MAGIC + _LENGTH.pack(len(text)) + text
    terms = json.dumps(asdict(contents.terms), sort_keys=True).encode()
    frames = (terms, *contents.calibration, *contents.templates)
    plain = b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames)
    sealed = sealed_for(head.recipient, plain, context=start)
    return start + signer.sign(_statement(start, sealed)) + sealed


def open_bundle(
    content: bytes, *, keys: KioskKeys, trusted: str, state: EdgeState, now: datetime
) -> OpenBundle:
    """A bundle that this kiosk may use now; ``state`` remembers that it has had it.

    trusted: public key of the service. Raises BundleAltered, BundleNotForThisKiosk, BundleRolledBack,
    BundleExpired, ClockSetBack.
    """
    start, signature, sealed, facts = _split(content)
    if facts.get("signer") != trusted or not is_signed_by(trusted, signature, _statement(start, sealed)):
        raise BundleAltered(
            "the bundle was not signed by the service, or was altered since",
            next_step="Fetch it again; compare the service's key with that in the kiosk's settings.",
        )
    head = _head(facts)
    if head.recipient != keys.recipient:
        raise BundleNotForThisKiosk(
            "the bundle was made for another kiosk", next_step="Fetch one for this kiosk's id."
        )
    state.accept(head, now=now)
    try:
        plain = unsealed(keys.opening, sealed, context=start)
        return _opened(head, _frames(plain))
    except (Unopened, ValueError, KeyError, TypeError, struct.error, CallerError, StorageFault) as fault:
        raise BundleAltered("the bundle cannot be read", next_step="Fetch it again.") from fault


def _split(content: bytes) -> tuple[bytes, bytes, bytes, dict[str, Any]]:
    try:
        (length,) = _LENGTH.unpack_from(content, len(MAGIC))
        end = len(MAGIC) + _LENGTH.size + length
        if not content.startswith(MAGIC) or length > MAX_HEAD or len(content) < end + _SIGNATURE_BYTES:
            raise ValueError
        facts = json.loads(content[len(MAGIC) + _LENGTH.size : end])
        if not isinstance(facts, dict):
            raise ValueError
    except (struct.error, ValueError, RecursionError):
        raise BundleAltered("that is no bundle", next_step="Fetch it again.") from None
    return content[:end], content[end : end + _SIGNATURE_BYTES], content[end + _SIGNATURE_BYTES :], facts


def _statement(start: bytes, sealed: bytes) -> bytes:
    return start + hashlib.sha256(sealed).digest()


def _head(facts: dict[str, Any]) -> BundleHead:
    times = {name: datetime.fromisoformat(facts[name]) for name in _TIMES}
    return BundleHead(**{one.name: times.get(one.name, facts[one.name]) for one in fields(BundleHead)})


def _frames(plain: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(plain):
        (length,) = _LENGTH.unpack_from(plain, at)
        at += _LENGTH.size
        if at + length > len(plain):
            raise ValueError("a frame is cut off")
        found.append(plain[at : at + length])
        at += length
    return found


def _opened(head: BundleHead, frames: list[bytes]) -> OpenBundle:
    facts = json.loads(frames[0])
    terms = EdgeTerms(**{**facts, "requires": tuple(facts["requires"]), "may_use": tuple(facts["may_use"])})
    format_ = BinaryTemplateFormat()
    templates = {one.subject_id: one for one in map(format_.read, frames[3:])}
    if len(templates) != head.templates:
        raise ValueError("the bundle does not hold as many templates as it says")
    return OpenBundle(head, terms, _calibration(frames[1], frames[2]), templates)


def _calibration(description: bytes, archive: bytes) -> Calibration:
    # Its reader wants two files; nothing in them is anybody's.
    with TemporaryDirectory(prefix="recon-edge-") as folder:
        path = Path(folder) / "calibration.toml"
        path.write_bytes(description)
        path.with_suffix(".npz").write_bytes(archive)
        return load_calibration(path)

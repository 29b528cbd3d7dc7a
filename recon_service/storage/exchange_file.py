"""Templates in a file: age (age-encryption.org/v1) to one X25519 recipient, every entry signed.

Inside of the encryption, after the line ``recon templates 1``, a frame follows the other: lengths of header
and content (uint32, little endian), header (UTF-8 JSON), content. The first frame says
who wrote the file, the last how many entries it has. Each entry is signed together with the file's id, its
number and the digest of its content, so that it can be taken before the whole file has been seen, and
nothing can be left out, doubled or moved unnoticed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

import pyrage

from recon_service.application.errors import ExchangeFileRefused, RecipientNotAllowed
from recon_service.application.ports.vault import Signer
from recon_service.application.records.exchange import ExchangedTemplate, ExchangeFile
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.domain.errors import InsecureConfiguration
from recon_service.formats.signing import is_signed_by
from recon_service.storage.pipes import read_out_of, written_into

MAGIC: Final = b"recon templates 1\n"
_LENGTHS: Final = struct.Struct("<II")
MAX_HEADER: Final = 10_000
MAX_CONTENT: Final = 20_000_000
_WORDS: Final = ("subject_id", "template_id", "model", "source", "calibration")


def write_file(
    sealed: BinaryIO,
    file: ExchangeFile,
    entries: Iterable[ExchangedTemplate],
    *,
    recipient: str,
    signer: Signer,
) -> int:
    """How many entries were written. Raises RecipientNotAllowed for what is no recipient, and whatever the
    entries raise; nothing in clear ever touches the disk.
    """
    try:
        to = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise RecipientNotAllowed(
            "the recipient is no public key", next_step="It begins with age1; see `recon templates keygen`."
        ) from None
    with written_into(lambda p: pyrage.encrypt_io(p, sealed, [to])) as plain:
        return _write(plain, file, entries, signer)


def _write(plain: BinaryIO, file: ExchangeFile, entries: Iterable[ExchangedTemplate], signer: Signer) -> int:
    plain.write(MAGIC)
    head = {"export_id": file.export_id, "source": file.source, "created_at": file.created_at.isoformat()}
    _write_frame(plain, head, b"", file.export_id, 0, signer)
    number = 0
    for number, entry in enumerate(entries, start=1):
        header = {
            **{word: getattr(entry, word) for word in _WORDS},
            "state": entry.state.value,
            "origin": entry.origin.value,
            "quality": entry.quality,
            "created_at": entry.created_at.isoformat(),
        }
        _write_frame(plain, header, entry.content, file.export_id, number, signer)
    _write_frame(plain, {"end": number}, b"", file.export_id, number + 1, signer)
    return number


def _write_frame(
    plain: BinaryIO, header: dict[str, Any], content: bytes, export_id: str, number: int, signer: Signer
) -> None:
    signature = signer.sign(_statement(header, content, export_id, number))
    text = json.dumps({**header, "signature": base64.b64encode(signature).decode()}).encode()
    plain.write(_LENGTHS.pack(len(text), len(content)) + text + content)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file whose first frame was read. entries: the rest of it; raises ExchangeFileRefused where it breaks
    off or somebody has changed it.
    """

    file: ExchangeFile
    entries: Iterator[ExchangedTemplate]


class ExchangeReader:
    """Opens files that were written to one identity by sources that are trusted. identity: text of an age
    identity (AGE-SECRET-KEY-1…). Raises InsecureConfiguration for what is none.
    """

    def __init__(self, identity: str, sources: frozenset[str]) -> None:
        try:
            self._identity = pyrage.x25519.Identity.from_str(identity.strip())
        except pyrage.IdentityError:
            raise InsecureConfiguration(
                "the identity for imports is none",
                next_step="Make one by `recon templates keygen`, and name its file.",
            ) from None
        self._sources = sources

    @property
    def recipient(self) -> str:
        """What others name to export to us."""
        return str(self._identity.to_public())

    @contextmanager
    def opened(self, sealed: BinaryIO) -> Iterator[Opened]:
        """The file, while it is open. Raises ExchangeFileRefused."""
        with read_out_of(lambda plain: pyrage.decrypt_io(sealed, plain, [self._identity])) as plain:
            if plain.read(len(MAGIC)) != MAGIC:
                raise _refused("it is no file of templates that was written to this service")
            header, _ = _read_frame(plain)
            try:
                file = ExchangeFile(
                    str(header["export_id"]),
                    str(header["source"]),
                    datetime.fromisoformat(header["created_at"]),
                )
            except (KeyError, TypeError, ValueError):
                raise _refused("its beginning is damaged") from None
            if file.source not in self._sources:
                raise _refused("it comes from a source that the settings do not name")
            _check(header, b"", file, 0)
            yield Opened(file, _entries(plain, file))


def _entries(plain: BinaryIO, file: ExchangeFile) -> Iterator[ExchangedTemplate]:
    number = 0
    while True:
        number += 1
        header, content = _read_frame(plain)
        _check(header, content, file, number)
        if "end" in header:
            if header["end"] != number - 1:
                raise _refused("its end is not its end")
            return
        try:
            yield ExchangedTemplate(
                **{word: str(header[word]) for word in _WORDS},
                state=TemplateState(header["state"]),
                origin=TemplateOrigin(header["origin"]),
                quality=float(header["quality"]),
                created_at=datetime.fromisoformat(header["created_at"]),
                content=content,
            )
        except (KeyError, TypeError, ValueError):
            raise _refused("one of its entries is of another version") from None


def _read_frame(plain: BinaryIO) -> tuple[dict[str, Any], bytes]:
    of_header, of_content = _LENGTHS.unpack(_exactly(plain, _LENGTHS.size))
    if of_header > MAX_HEADER or of_content > MAX_CONTENT:
        raise _refused("it is damaged")
    text, content = _exactly(plain, of_header), _exactly(plain, of_content)
    try:
        header = json.loads(text)
    except ValueError:
        raise _refused("it is damaged") from None
    if not isinstance(header, dict):
        raise _refused("it is damaged")
    return header, content


def _check(header: dict[str, Any], content: bytes, file: ExchangeFile, number: int) -> None:
    # One way to write each signature, so that a file that was changed in any byte is not the file.
    unsigned = {name: value for name, value in header.items() if name != "signature"}
    try:
        signature = base64.b64decode(str(header.get("signature", "")), validate=True)
    except ValueError:
        raise _refused("somebody has changed it") from None
    canonical = base64.b64encode(signature).decode() == header.get("signature")
    if not canonical or not is_signed_by(
        file.source, signature, _statement(unsigned, content, file.export_id, number)
    ):
        raise _refused("somebody has changed it")


def _statement(header: dict[str, Any], content: bytes, export_id: str, number: int) -> bytes:
    """What a frame's signature covers."""
    spoken = json.dumps(header, sort_keys=True, separators=(",", ":"))
    parts = ["recon templates 1", export_id, str(number), hashlib.sha256(content).hexdigest(), spoken]
    return "\n".join(parts).encode()


def _exactly(plain: BinaryIO, size: int) -> bytes:
    content = plain.read(size)
    if len(content) != size:
        raise _refused("it breaks off")
    return content


def _refused(why: str) -> ExchangeFileRefused:
    return ExchangeFileRefused(
        f"the file cannot be imported: {why}",
        next_step="Compare what `recon templates identity` says on both services, and export again.",
    )

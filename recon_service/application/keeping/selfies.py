"""Selfies into the object store and out of it, encrypted with the subject's key: the one place that knows how
an object is made of selfies, and what it is called.

The selfies of an enrollment lie in one object: they are stored, read and deleted together, and every
request to an object store costs more than the selfies that it carries (docs/adr/0186). Objects of before
hold one selfie.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import StoredSelfies
from recon_service.application.records.subjects import WrappedKey

SELFIE_PLACE: Final = "selfies"
_ALL: Final = "all-"
"""So begins the last part of the key of an object that holds all selfies."""


def selfie_rows(operation_id: str) -> list[StoredSelfies]:
    """Of the object in which selfies are about to be stored, under a key that nobody can guess."""
    return [StoredSelfies(operation_id, 0, f"{SELFIE_PLACE}/{operation_id}/{_ALL}{secrets.token_hex(8)}")]


def store_selfies(
    contents: Sequence[bytes], rows: Sequence[StoredSelfies], key: WrappedKey, *, on: Stores
) -> None:
    """Encrypt and put them. Raises StorageFault."""
    (row,) = rows
    sealed = on.vault.cipher(key).seal(_joined(contents), place=SELFIE_PLACE, row=row.object_key)
    on.objects.put(row.object_key, sealed)


def open_selfies(rows: Sequence[StoredSelfies], key: WrappedKey, *, on: Stores) -> list[bytes]:
    """Get and decrypt them, in the order of the request. Raises NotFound, StorageFault."""
    cipher = on.vault.cipher(key)
    found: list[bytes] = []
    for row in rows:
        content = cipher.open(on.objects.get(row.object_key), place=SELFIE_PLACE, row=row.object_key)
        whole = row.object_key.rpartition("/")[2].startswith(_ALL)
        found.extend(_divided(content) if whole else [content])
    return found


def _joined(contents: Sequence[bytes]) -> bytes:
    """How many there are and how long each is, as unsigned numbers of 32 bits, then one after the other."""
    lengths = [len(content) for content in contents]
    return b"".join([struct.pack(f">I{len(lengths)}I", len(lengths), *lengths), *contents])


def _divided(content: bytes) -> list[bytes]:
    (count,) = struct.unpack_from(">I", content)
    lengths = struct.unpack_from(f">{count}I", content, 4)
    ends = accumulate([4 + 4 * count, *lengths])
    return [content[begin:end] for begin, end in pairwise(ends)]

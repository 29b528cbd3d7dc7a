"""Selfies into the object store and out of it, encrypted with the subject's key: the one place that knows how
an object is made of a selfie, and what it is called.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from recon_service.application.ports.stores import Stores
from recon_service.application.records.operations import StoredSelfie
from recon_service.application.records.subjects import WrappedKey

SELFIE_PLACE: Final = "selfies"


def selfie_rows(operation_id: str, count: int) -> list[StoredSelfie]:
    """Of selfies that are about to be stored, under keys that nobody can guess."""
    return [
        StoredSelfie(operation_id, n, f"{SELFIE_PLACE}/{operation_id}/{n}-{secrets.token_hex(8)}")
        for n in range(count)
    ]


def store_selfies(
    contents: Sequence[bytes], rows: Sequence[StoredSelfie], key: WrappedKey, *, on: Stores
) -> None:
    """Encrypt and put each. Raises StorageFault."""
    cipher = on.vault.cipher(key)
    for row, content in zip(rows, contents, strict=True):
        on.objects.put(row.object_key, cipher.seal(content, place=SELFIE_PLACE, row=row.object_key))


def open_selfies(rows: Sequence[StoredSelfie], key: WrappedKey, *, on: Stores) -> list[bytes]:
    """Get and decrypt each. Raises NotFound, StorageFault."""
    cipher = on.vault.cipher(key)
    return [
        cipher.open(on.objects.get(row.object_key), place=SELFIE_PLACE, row=row.object_key) for row in rows
    ]

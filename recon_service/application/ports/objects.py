"""The object store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class ObjectStore(Protocol):
    """Bytes under keys like ``selfies/op_…/0-…``. Keys are made of [a-z0-9_./-], never of what a caller
    sent.
    """

    def put(self, key: str, content: bytes) -> None:
        """Durable when it returns; never half there. Overwrites."""
        ...

    def get(self, key: str) -> bytes:
        """Raises NotFound."""
        ...

    def delete(self, *keys: str) -> list[str]:
        """Nothing happens where there was nothing. Returns those that could not be deleted; raises
        StorageUnavailable where the store does not answer, and some may be gone.
        """
        ...

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """In lexical order."""
        ...

    def check(self) -> None:
        """Raises StorageFault unless a write would succeed."""
        ...

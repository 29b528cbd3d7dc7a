"""How far a transfer is: the protocol that the pull speaks, and the silent listener."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener; the command line draws bars with it."""

    def begin(self, name: str, *, total: int | None, source: str) -> None:
        """A transfer of `total` bytes (None: unknown) starts; a new source starts the same name again."""

    def at(self, name: str, done: int) -> None:
        """`done` bytes are there, those of an earlier, resumed transfer included."""

    def end(self, name: str, outcome: str) -> None:
        """The file is there, or no source gave it; `outcome` is a short sentence."""


class Silent:
    """Listens and says nothing."""

    def begin(self, name: str, *, total: int | None, source: str) -> None:
        """Ignore."""

    def at(self, name: str, done: int) -> None:
        """Ignore."""

    def end(self, name: str, outcome: str) -> None:
        """Ignore."""

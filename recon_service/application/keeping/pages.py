"""Changing many rows in pages, a transaction each: what piled up is more than one statement may take, one
that is broken off has changed nothing, and nobody else should wait for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores

ROWS: Final = 2000
PAGES: Final = 50
"""At once. A sweeper does what is left the next time: others want to sweep too."""


def in_pages(change: Callable[[Transaction, int], int], *, on: Stores, pages: int | None = None) -> int:
    """Call ``change`` with a limit until it finds no full page any more, at most ``pages`` times (None:
    ``PAGES``); how many rows it changed. Raises StorageFault; the pages before it stay changed.
    """
    total = 0
    for _ in range(PAGES if pages is None else pages):
        with on.database.transaction() as tx:
            done = change(tx, ROWS)
        total += done
        if done < ROWS:
            break
    return total

"""Forgetting in pages, a transaction each: what piled up while nobody forgot would be more than one statement
may take, and a statement that is broken off has forgotten nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from recon_service.application.ports.database import Transaction
from recon_service.application.ports.stores import Stores

ROWS: Final = 2000
PAGES: Final = 50
"""At once. What is left then is forgotten the next time: others want to sweep too."""


def forget_in_pages(forget: Callable[[Transaction, int], int], *, on: Stores) -> int:
    """Call ``forget`` with a limit until it has no full page any more; how many rows went. Raises
    StorageFault; what went before it is gone.
    """
    total = 0
    for _ in range(PAGES):
        with on.database.transaction() as tx:
            gone = forget(tx, ROWS)
        total += gone
        if gone < ROWS:
            break
    return total

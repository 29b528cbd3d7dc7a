"""The two steps: a shortlist by bounds, then the score itself, with the proof that nothing better was missed.

Whatever is not on a shortlist has a bound of at most the lowest on it. So when the score of the last wanted
candidate is not below that bound, the shortlist held all. Else everything whose bound reaches that score is
scored, which is all that could still be better: two passes always end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

Rows = NDArray[np.int64]
AHEAD = 4
LEAST_SHORTLIST = 32


class Scan(Protocol):
    """The computed bounds of one probe against all references of one kind."""

    @property
    def size(self) -> int:
        """How many references there are."""
        ...

    def highest(self, count: int) -> tuple[Rows, Array]:
        """The rows with the highest bounds (all, where there are fewer than ``count``), and the bounds."""
        ...

    def above(self, bound: float) -> Rows:
        """Every row whose computed bound is at least that."""
        ...


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best rows, best first, and their scores. scored: how many rows the second step looked at."""

    rows: Rows
    scores: Array
    scored: int


def best_of(
    scan: Scan,
    *,
    count: int,
    exact: Callable[[Rows], Array],
    slack: float,
    least: float = -np.inf,
) -> Ranked:
    """The ``count`` rows with the highest exact scores among those with at least ``least``.

    exact: the scores of rows, in their order. slack: by how much a computed bound may be too low, plus, if
    ``exact`` itself is rounded, by how much.
    """
    if count < 1:
        raise InvalidValue("a search asks for one candidate at least")
    rows, bounds = scan.highest(max(AHEAD * count, LEAST_SHORTLIST))
    lowest = float(bounds.min()) if len(bounds) < scan.size else -np.inf
    rows = rows[bounds + slack >= least]
    scores = exact(rows)
    scored = len(rows)
    floor = max(least, float(np.partition(scores, -count)[-count]) if len(scores) >= count else -np.inf)
    if lowest + slack >= floor and lowest > -np.inf:
        rows = scan.above(floor - slack)
        scores = exact(rows)
        scored += len(rows)
    order = np.lexsort((rows, -scores))[:count]
    order = order[scores[order] >= least]
    return Ranked(rows[order], scores[order], scored)

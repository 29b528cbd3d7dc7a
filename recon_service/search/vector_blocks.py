"""Vectors of references in memory, in blocks: scanned one block after the other, grown without copying what
is there, and without holes (the last row takes the place of one that goes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from recon_service.domain.arrays import AnyArray, Array
from recon_service.search.bounding_space import ProbeVector
from recon_service.search.exact_search import Rows

BLOCK_ROWS = 65_536


class VectorBlocks:
    """(n, D) rows of one type of numbers. Not for several threads at once."""

    def __init__(
        self, dimension: int, *, block_rows: int = BLOCK_ROWS, dtype: type[np.floating[Any]] = np.float32
    ) -> None:
        self._dimension, self._block_rows, self._dtype = dimension, block_rows, dtype
        self._blocks: list[AnyArray] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Memory of all blocks."""
        return sum(block.nbytes for block in self._blocks)

    def append(self, vectors: AnyArray) -> None:
        """Add rows (n, D) at the end."""
        start = 0
        while start < len(vectors):
            number, offset = divmod(self._size, self._block_rows)
            if number == len(self._blocks):
                self._blocks.append(np.empty((self._block_rows, self._dimension), dtype=self._dtype))
            taken = vectors[start : start + self._block_rows - offset]
            self._blocks[number][offset : offset + len(taken)] = taken
            self._size += len(taken)
            start += len(taken)

    @property
    def dimension(self) -> int:
        """D."""
        return self._dimension

    def write(self, row: int, vector: AnyArray) -> None:
        """Another vector (D,) in place of that of a row."""
        self._row(row)[:] = vector

    def remove(self, row: int) -> None:
        """The last row takes its place; its values are overwritten."""
        last = self._size - 1
        number, offset = divmod(last, self._block_rows)
        self._row(row)[:] = self._row(last)
        self._row(last)[:] = 0.0
        self._size = last
        if offset == 0:
            del self._blocks[number]

    def rows(self, rows: Rows) -> AnyArray:
        """(m, D) copies of rows."""
        out = np.empty((len(rows), self._dimension), dtype=self._dtype)
        numbers, offsets = np.divmod(rows, self._block_rows)
        for number in np.unique(numbers):
            chosen = numbers == number
            out[chosen] = self._blocks[number][offsets[chosen]]
        return out

    def filled(self) -> list[AnyArray]:
        """Views of the blocks without what is not used yet."""
        whole, rest = divmod(self._size, self._block_rows)
        return [*self._blocks[:whole], *([self._blocks[whole][:rest]] if rest else [])]

    def _row(self, row: int) -> AnyArray:
        number, offset = divmod(row, self._block_rows)
        return self._blocks[number][offset]


class BlockScan:
    """See ``exact_search.Scan``: the bounds of one probe, computed once."""

    def __init__(self, blocks: VectorBlocks, probe: ProbeVector) -> None:
        self._bounds = np.empty(len(blocks), dtype=np.float32)
        start = 0
        for block in blocks.filled():
            np.dot(block, probe.vector, out=self._bounds[start : start + len(block)])
            start += len(block)
        self._constant = probe.constant

    @property
    def size(self) -> int:
        """How many references there are."""
        return len(self._bounds)

    def highest(self, count: int) -> tuple[Rows, Array]:
        """Block by block: few of a block pass what the blocks before have."""
        kept, floor = np.empty(0, dtype=np.int64), -np.inf
        for start in range(0, len(self._bounds), BLOCK_ROWS):
            part = self._bounds[start : start + BLOCK_ROWS]
            kept = np.concatenate([kept, start + np.flatnonzero(part >= floor)])
            if len(kept) > count:
                kept = kept[np.argpartition(self._bounds[kept], -count)[-count:]]
                floor = float(self._bounds[kept].min())
        return kept, self._bounds[kept].astype(np.float64) + self._constant

    def above(self, bound: float) -> Rows:
        """A little more than asked for, where rounding to single precision leaves a doubt."""
        limit = np.nextafter(np.float32(bound - self._constant), np.float32(-np.inf))
        return np.flatnonzero(self._bounds >= limit).astype(np.int64)

"""References and probes drawn from the population that a calibration describes, what is right to find among
them, and what is timed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from recon_service.comparison.pair_score import PairScore
from recon_service.domain.arrays import Array
from recon_service.search.bounding_space import BoundingSpace
from recon_service.search.vector_blocks import BLOCK_ROWS, VectorBlocks

COUNT = 10
"""How many are searched for."""


@dataclass
class Population:
    """means: (n, K) of the references. probes: (m, K) of the first m people and of as many strangers."""

    score: PairScore
    means: VectorBlocks
    probes: Array


def population(score: PairScore, people: int, probes: int, seed: int = 0) -> Population:
    rng = np.random.default_rng(seed)
    k = score.modes
    between, within = np.linalg.cholesky(score.between), np.linalg.cholesky(score.within)
    means = VectorBlocks(k, dtype=np.float64)
    first = np.empty((0, k))
    for start in range(0, people, BLOCK_ROWS):
        n = min(BLOCK_ROWS, people - start)
        who = rng.standard_normal((n, k)) @ between.T
        means.append(who @ score.gains[0].T + rng.standard_normal((n, k)) @ within.T + score.centers[0])
        if start == 0:
            first = who[:probes]
    strangers = rng.standard_normal((probes, k)) @ between.T
    seen = np.concatenate([first, strangers])
    changes = rng.standard_normal((len(seen), k)) @ within.T
    return Population(score, means, seen @ score.gains[1].T + changes + score.centers[1])


@dataclass
class Clock:
    wall: list[float]
    cpu: list[float]

    @contextmanager
    def measure(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu.append(1000 * (time.process_time() - cpu))
        self.wall.append(1000 * (time.perf_counter() - wall))

    def columns(self) -> list[str]:
        return [f"{np.percentile(x, p):.1f}" for x in (self.wall, self.cpu) for p in (50, 95)]


def truth(people: Population) -> list[set[int]]:
    """The best of every probe, by comparing with everybody in double precision."""
    best = [(np.empty(0), np.empty(0, dtype=np.int64)) for _ in people.probes]
    probe, probe_alone = people.score.alone(people.probes, 1)
    start = 0
    for block in people.means.filled():
        reference, alone = people.score.alone(block, 0)
        scores = (
            (reference @ people.score.cross) @ probe.T + alone[:, None] + probe_alone + people.score.constant
        )
        for j, (kept, rows) in enumerate(best):
            few = np.argpartition(-scores[:, j], min(COUNT, len(scores) - 1))[:COUNT]
            kept, rows = np.append(kept, scores[few, j]), np.append(rows, few + start)
            order = np.argsort(-kept)[:COUNT]
            best[j] = kept[order], rows[order]
        start += len(block)
    return [set(rows.tolist()) for _, rows in best]


def vectors_of(space: BoundingSpace, people: Population) -> VectorBlocks:
    blocks = VectorBlocks(space.dimension)
    for means in people.means.filled():
        blocks.append(space.references(means))
    return blocks

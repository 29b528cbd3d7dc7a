"""Aligned faces to vectors, on all cores; kept by content."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from recon_service.alignment.landmarks import DenseTemplate, align_face
from recon_service.appearance.embedder import FaceEmbedder
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.cache import content_key
from recon_service.evaluation.detectors.kept import Kept
from recon_service.evaluation.detectors.looking import Look, Progress, load

EmbedderFactory = Callable[[], FaceEmbedder]
"""Builds the network in a process of its own: must be picklable."""

CHUNK = 8


@dataclass(frozen=True, slots=True)
class Aligning:
    """One face to align and embed, and the key to keep its vector under. dense: None for the named places."""

    picture: Path
    look: Look
    dense: DenseTemplate | None
    key: str


def vector_key(look: Look, *, alignment: str, embedder: FaceEmbedder) -> str:
    """Of everything that the vector of a face depends on."""
    return content_key("vector", look.key, alignment, embedder.name, embedder.version)


def embed(
    work: Sequence[Aligning],
    build: EmbedderFactory,
    kept: Kept,
    *,
    jobs: int,
    progress: Progress = lambda done: None,
) -> Mapping[str, Array]:
    """Vectors (D,) by key, from what is kept or computed now."""
    found: dict[str, Array] = {}
    missing: dict[str, Aligning] = {}
    for each in work:
        record = kept.get(each.key)
        if record is not None:
            found[each.key] = record[1]["vector"]
        else:
            missing[each.key] = each
    progress(len(work) - len(missing))
    chunks = [list(missing.values())[at : at + CHUNK] for at in range(0, len(missing), CHUNK)]
    if len(chunks) <= 1 or jobs <= 1:
        worker = _Worker(build, kept) if chunks else None
        for chunk in chunks:
            assert worker is not None
            found.update(worker(chunk))
            progress(len(chunk))
        return found
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start, (build, kept))
    try:
        for done in as_completed([pool.submit(_embed_chunk, chunk) for chunk in chunks]):
            found.update(done.result())
            progress(len(done.result()))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return found


class _Worker:
    """What one process keeps between chunks."""

    def __init__(self, build: EmbedderFactory, kept: Kept) -> None:
        self._embedder, self._kept = build(), kept

    def __call__(self, chunk: Sequence[Aligning]) -> dict[str, Array]:
        found = {}
        for each in chunk:
            image = load(each.picture)
            if image is None or each.look.face is None:
                raise InvalidValue(f"{each.picture.name} changed while it was evaluated")
            aligned = align_face(image, each.look.face, dense=each.dense)
            (vector,) = self._embedder.embed([aligned.pixels])
            self._kept.put(each.key, {}, vector=vector)
            found[each.key] = vector
        return found


_workers: list[_Worker] = []
"""The worker of this process, if it is a child."""


def _start(build: EmbedderFactory, kept: Kept) -> None:
    # An interrupt from the keyboard reaches the children too: the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _workers.append(_Worker(build, kept))


def _embed_chunk(chunk: Sequence[Aligning]) -> dict[str, Array]:
    return _workers[0](chunk)

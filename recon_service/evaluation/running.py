"""Observe many samples on all cores; what is done is kept at once, so an interrupted run goes on where it
stopped.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from types import MappingProxyType

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.evaluation.cache import ObservationCache, content_key
from recon_service.evaluation.dataset import Dataset, Subject
from recon_service.evaluation.draws import Sample
from recon_service.evaluation.observing import Observation, observed
from recon_service.evaluation.rows import split_kind
from recon_service.evaluation.version import code_version

PipelineFactory = Callable[[], FacePipeline]
"""Builds the pipeline in a process of its own: must be picklable, and set the process to one thread."""

Progress = Callable[[int, int], None]
"""Called with the samples done and all samples."""

CHUNK = 4


@dataclass(frozen=True, slots=True)
class Work:
    """A sample to observe, and the key to keep the observation under."""

    sample: Sample
    subject: Subject
    key: str


class Worker:
    """What one process keeps between samples."""

    def __init__(self, build: PipelineFactory, dataset: Dataset, cache: ObservationCache) -> None:
        self.pipeline = replace(
            build(), quality_limits=dataset.quality_limits, image_limits=dataset.image_limits
        )
        self.cache = cache

    def __call__(self, work: Work) -> Observation:
        observation = observed(work.sample, work.subject, self.pipeline)
        self.cache.put(work.key, observation)
        return observation


def observe_all(
    samples: Sequence[Sample],
    dataset: Dataset,
    build: PipelineFactory,
    *,
    model_name: str,
    embedder: str = "",
    backend_files: Mapping[str, str] = MappingProxyType({}),
    cache: ObservationCache,
    jobs: int,
    progress: Progress = lambda done, total: None,
) -> dict[Sample, Observation]:
    """An observation of every sample, from the cache or made now.

    KeyboardInterrupt ends it after the samples at hand; they are kept.
    """
    subjects = {subject.name: subject for subject in dataset.subjects}
    fingerprints: dict[tuple[str, str, str], str] = {}

    def key(sample: Sample) -> str:
        parts = [code_version(), model_name, sample.kind, repr(dataset.quality_limits)]
        parts += [repr(dataset.image_limits), embedder]
        if backend := split_kind(sample.kind)[1]:
            parts.append(backend_files.get(backend, ""))
        for item in sample.items:
            name = (sample.subject, item.medium, item.label)
            if name not in fingerprints:
                fingerprints[name] = subjects[sample.subject].fingerprint(item)
            parts.append(fingerprints[name])
        return content_key(*parts)

    found: dict[Sample, Observation] = {}
    missing: list[Work] = []
    for sample in dict.fromkeys(samples):
        work = Work(sample, subjects[sample.subject], key(sample))
        kept = cache.get(work.key)
        if kept is None:
            missing.append(work)
        else:
            found[sample] = kept
    total = len(found) + len(missing)
    progress(len(found), total)
    if not missing:
        return found
    if jobs <= 1:
        worker = Worker(build, dataset, cache)
        for work in missing:
            found[work.sample] = worker(work)
            progress(len(found), total)
        return found
    # Spawned, not forked: a child of a process with running threads may hang.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start, (build, dataset, cache))
    try:
        chunks = [missing[at : at + CHUNK] for at in range(0, len(missing), CHUNK)]
        for done in as_completed([pool.submit(_work, chunk) for chunk in chunks]):
            found.update(done.result())
            progress(len(found), total)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return found


_workers: list[Worker] = []
"""The worker of this process, if it is a child."""


def _start(build: PipelineFactory, dataset: Dataset, cache: ObservationCache) -> None:
    # An interrupt from the keyboard reaches the children too: the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _workers.append(Worker(build, dataset, cache))


def _work(chunk: Sequence[Work]) -> Mapping[Sample, Observation]:
    return {work.sample: _workers[0](work) for work in chunk}

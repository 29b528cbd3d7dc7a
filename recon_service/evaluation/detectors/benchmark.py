"""All detectors on one data set."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recon_service.alignment.landmarks import DenseTemplate
from recon_service.appearance.embedder import FaceEmbedder
from recon_service.detection.registry import DetectorRegistry
from recon_service.domain.arrays import Array
from recon_service.domain.errors import ReconError
from recon_service.evaluation.cache import content_key
from recon_service.evaluation.detectors.embedding import Aligning, EmbedderFactory, embed, vector_key
from recon_service.evaluation.detectors.kept import Kept, code_digest
from recon_service.evaluation.detectors.looking import (
    Look,
    Looking,
    LookingFailed,
    RegistryFactory,
    footprint,
    look,
    looks,
)
from recon_service.evaluation.detectors.measures import Verification, verification
from recon_service.evaluation.detectors.pairs import PairedPictures
from recon_service.evaluation.detectors.result import BenchmarkResult, DetectorResult
from recon_service.networks.onnx_runtime import Device
from recon_service.weights.digest import file_sha256

PLACES, DENSE = "places", "dense"
Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """detectors: names. devices: CPU, CUDA or both. steady: pictures whose jitter is measured. jobs:
    processes that compute vectors. dense: for detectors whose landmarks it knows, a second row aligned by
    all of them.
    """

    detectors: tuple[str, ...]
    devices: tuple[Device, ...] = (Device.CPU,)
    steady: int = 40
    batch: int = 8
    jobs: int = 2
    dense: DenseTemplate | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    job: Looking
    seen: Mapping[str, Look]
    alignment: str


def measure(
    dataset: PairedPictures,
    plan: Plan,
    build: RegistryFactory,
    *,
    embedder: tuple[FaceEmbedder, EmbedderFactory] | None,
    kept: Kept,
    report: Report = lambda what, done, total: None,
) -> BenchmarkResult:
    """A row per detector, device and alignment. What is kept is not computed again."""
    registry = build()
    results: list[DetectorResult | _Row] = []
    for device in plan.devices:
        for name in plan.detectors:
            refused = _refused(registry, name, device)
            if refused:
                results.append(DetectorResult(name, device.value, PLACES, refused=refused))
                continue
            code = _code(registry, name)
            job = Looking(name, device, dataset.root, dataset.pictures, plan.steady, code, plan.batch)
            refused = _looked(job, build, kept, report)
            if refused:
                results.append(DetectorResult(name, device.value, PLACES, refused=refused))
                continue
            seen = looks(job, kept)
            results.append(_Row(job, seen, PLACES))
            if plan.dense is not None and registry.kinds[name].scheme == plan.dense.scheme:
                results.append(_Row(job, seen, DENSE))
    rows = [each for each in results if isinstance(each, _Row)]
    vectors = _vectors(dataset, plan, rows, embedder, kept, report) if embedder is not None else {}
    finished = iter(_measured(row, dataset, vectors.get(number), kept) for number, row in enumerate(rows))
    network = embedder[0] if embedder is not None else None
    return BenchmarkResult(
        dataset=dataset.name,
        pictures=len(dataset.pictures),
        people=dataset.people,
        genuine=sum(pair.same for pair in dataset.pairs),
        impostor=sum(not pair.same for pair in dataset.pairs),
        embedder=f"{network.name} {network.version}" if network is not None else "",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        batch=plan.batch,
        notes=NOTES,
        rows=tuple(next(finished) if isinstance(each, _Row) else each for each in results),
    )


NOTES = (
    "A pair in which a face was not found counts as a non-match, genuine or not.",
    "Time is that of the detector alone, one thread on the CPU, pictures already decoded.",
    "Alignment of a detector without landmarks is by its box.",
)


def _code(registry: DetectorRegistry, name: str) -> str:
    """What the detector's answers depend on: code, libraries, its model files and those of its base."""
    parts, kind = [code_digest()], registry.kind(name)
    while True:
        parts += [kind.name, *(file_sha256(registry.locate(each)) for each in kind.weights)]
        if kind.base is None:
            return content_key(*parts)
        kind = registry.kind(kind.base)


def _refused(registry: DetectorRegistry, name: str, device: Device) -> str:
    try:
        detector = registry.build(name, device)
    except ReconError as fault:
        return str(fault)
    if device is Device.CUDA and detector.device is not Device.CUDA:
        return "it runs on the CPU only, or CUDA is not to be had here"
    return ""


def _looked(job: Looking, build: RegistryFactory, kept: Kept, report: Report) -> str:
    """Let the detector look; why it could not."""
    done, total = [0], len(job.pictures)
    what = job.detector if job.device is Device.CPU else f"{job.detector} ({job.device})"
    report(what, 0, total)

    def progress(count: int) -> None:
        done[0] += count
        report(what, done[0], total)

    try:
        look(job, build, kept, progress)
    except LookingFailed as fault:
        return str(fault)
    return ""


def _vectors(
    dataset: PairedPictures,
    plan: Plan,
    rows: Sequence[_Row],
    embedder: tuple[FaceEmbedder, EmbedderFactory],
    kept: Kept,
    report: Report,
) -> dict[int, dict[str, Array]]:
    """By number of the row, vectors by picture."""
    network, build = embedder
    keys = [
        {
            picture: vector_key(seen, alignment=row.alignment, embedder=network)
            for picture, seen in row.seen.items()
            if seen.face is not None
        }
        for row in rows
    ]
    work = {
        key: Aligning(
            dataset.root / picture, row.seen[picture], plan.dense if row.alignment == DENSE else None, key
        )
        for row, named in zip(rows, keys, strict=True)
        for picture, key in named.items()
    }
    done = [0]

    def progress(count: int) -> None:
        done[0] += count
        report("comparing", done[0], len(work))

    found = embed(list(work.values()), build, kept, jobs=plan.jobs, progress=progress)
    return {
        number: {picture: found[key] for picture, key in named.items()} for number, named in enumerate(keys)
    }


def _measured(
    row: _Row, dataset: PairedPictures, vectors: Mapping[str, Array] | None, kept: Kept
) -> DetectorResult:
    seen = [each for each in row.seen.values() if each.readable]
    taken = footprint(row.job, kept)
    trembling = [each.jitter for each in seen if each.jitter is not None]
    verified: Verification | None = None
    if vectors is not None:
        verified = verification(dataset.pairs, vectors)
    result = DetectorResult(
        row.job.detector,
        row.job.device.value,
        row.alignment,
        pictures=len(row.seen),
        detection_success=_mean([each.face is not None for each in row.seen.values()]),
        several_faces=_mean([each.faces > 1 for each in row.seen.values()]),
        ms_per_picture=_median([1000 * each.seconds for each in seen]),
        cpu_ms_per_picture=_median([1000 * each.cpu_seconds for each in seen]),
        verification=verified,
        jitter_crop=_median([each.crop for each in trembling]),
        jitter_noise=_median([each.noise for each in trembling]),
        jitter_crop_all=_median([each.crop_all for each in trembling]),
        jitter_pictures=len(trembling),
    )
    if taken is None:
        return result
    return replace(result, peak_mib=taken.peak, own_mib=taken.own, gpu_mib=taken.gpu)


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None


def _median(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.median(present)) if present else None

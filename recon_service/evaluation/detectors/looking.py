"""One detector looks at all pictures, in a process of its own: so that its memory can be told from the
others', and a crash of a network takes nothing else along.

Pictures are loaded by threads while the detector looks at the batch before. What was seen is kept at once.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np

from recon_service.detection.detector import FaceDetector
from recon_service.detection.registry import DetectorRegistry
from recon_service.domain.errors import ReconError
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.evaluation.cache import content_key
from recon_service.evaluation.detectors.jitter import Jitter, jitter
from recon_service.evaluation.detectors.kept import Kept
from recon_service.evaluation.detectors.memory import GpuMemory, peak_mib, present_mib
from recon_service.imaging import ImageLimits, decode_image
from recon_service.networks.onnx_runtime import Device

LIMITS = ImageLimits(min_side=16, max_aspect=20.0)
RegistryFactory = Callable[[], DetectorRegistry]
"""Builds the registry in a process of its own: must be picklable."""
Progress = Callable[[int], None]
"""Called with how many pictures were done since the last call."""


@dataclass(frozen=True, slots=True)
class Looking:
    """What one detector has to do.

    steady: of how many of the pictures the jitter is measured. batch: pictures per call. loaders: threads
    that load pictures. code: what it runs on, code and model files; told by the parent, so
    that both name a record alike.
    """

    detector: str
    device: Device
    root: Path
    pictures: tuple[str, ...]
    steady: int
    code: str
    batch: int = 8
    loaders: int = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in one picture. face: the largest; None for none. faces: how many. readable: False for
    a file that is no picture. seconds: on the clock; cpu_seconds: of the CPU, which other programs on the
    machine do not change. key: of the record.
    """

    face: DetectedFace | None
    faces: int
    seconds: float
    cpu_seconds: float
    readable: bool
    key: str
    jitter: Jitter | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of the process, MiB: at its peak; of that, what came after the code was loaded (network and
    pictures); on the GPU, None where none was used.
    """

    peak: float
    own: float
    gpu: float | None


class LookingFailed(Exception):
    """The process of a detector ended early; says why."""


def look(job: Looking, build: RegistryFactory, kept: Kept, progress: Progress = lambda done: None) -> None:
    """See every picture that is not kept yet. Raises LookingFailed."""
    steady = set(steady_pictures(job))
    missing = [each for each in job.pictures if not _is_kept(job, each, kept, steady=each in steady)]
    progress(len(job.pictures) - len(missing))
    if not missing:
        if kept.get(_footprint_key(job)) is not None:
            return
        # Killed just before it was written: a batch tells the memory again.
        missing, progress = list(job.pictures[: job.batch]), lambda done: None
    # Spawned, not forked: its memory is its own, and no thread of ours is copied half.
    context = get_context("spawn")
    queue: Queue[Any] = context.Queue()
    child = context.Process(target=_look_in_child, args=(job, missing, build, kept, queue), daemon=True)
    child.start()
    try:
        fault = _followed(child, queue, progress)
        child.join()
    finally:
        if child.is_alive():
            child.terminate()
            child.join()
    if fault or child.exitcode:
        raise LookingFailed(fault or f"its process ended with code {child.exitcode}")


def looks(job: Looking, kept: Kept) -> dict[str, Look]:
    """What was seen, by picture."""
    found = {}
    for picture in job.pictures:
        key = look_key(job, picture)
        record = kept.get(key)
        if record is not None:
            found[picture] = _look(record, key, kept.get(_jitter_key(key)))
    return found


def footprint(job: Looking, kept: Kept) -> Footprint | None:
    """How much memory it took."""
    record = kept.get(_footprint_key(job))
    return None if record is None else Footprint(**record[0])


def steady_pictures(job: Looking) -> list[str]:
    """Those of which the jitter is measured: the same for every detector."""
    order = sorted(job.pictures, key=lambda p: hashlib.sha256(f"steady/{p}".encode()).digest())
    return order[: job.steady]


def look_key(job: Looking, picture: str) -> str:
    """Of everything that a detection depends on."""
    return content_key("look", job.code, job.detector, job.device.value, _fingerprint(job.root / picture))


def load(path: Path) -> Image | None:
    """The picture; None for a file that is none."""
    try:
        return decode_image(path.read_bytes(), limits=LIMITS)
    except (OSError, ReconError):
        return None


def _followed(child: Any, queue: Queue[Any], progress: Progress) -> str:
    """Pass the child's progress on until it ends; what it said was wrong."""
    fault = ""
    while True:
        try:
            said = queue.get(timeout=0.2)
        except Empty:
            if not child.is_alive():
                return fault
            continue
        if isinstance(said, str):
            fault = said
        elif said is None:
            return fault
        else:
            progress(said)


def _look_in_child(
    job: Looking, missing: Sequence[str], build: RegistryFactory, kept: Kept, queue: Queue[Any]
) -> None:
    try:
        with GpuMemory() as gpu:
            before = present_mib()
            detector = build().build(job.detector, job.device)
            _look_at(job, missing, detector, kept, partial(_tell, queue))
            peak = peak_mib()
        taken = gpu.most if detector.device is Device.CUDA else None
        kept.put(_footprint_key(job), asdict(Footprint(peak, max(peak - before, 0.0), taken)))
    except ReconError as fault:
        queue.put(str(fault))
    finally:
        queue.put(None)


def _tell(queue: Queue[Any], done: int) -> None:
    """Progress to the parent. Where that was killed, nobody waits for the rest."""
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        queue.cancel_join_thread()
        sys.exit(1)
    queue.put(done)


def _look_at(
    job: Looking, pictures: Sequence[str], detector: FaceDetector, kept: Kept, done: Progress
) -> None:
    steady = set(steady_pictures(job))
    warm = False
    for batch in _loaded(job, pictures):
        images = [image for _, image in batch if image is not None]
        if images and not warm:
            detector.detect_batch(images[:1])  # the first call also prepares the network
            warm = True
        start, cpu = time.perf_counter(), time.thread_time()
        found = iter(detector.detect_batch(images))
        count = max(len(images), 1)
        times = {
            "seconds": (time.perf_counter() - start) / count,
            "cpu_seconds": (time.thread_time() - cpu) / count,
        }
        for picture, image in batch:
            faces = next(found) if image is not None else ()
            face = max(faces, key=lambda each: each.width * each.height, default=None)
            key = look_key(job, picture)
            facts = {"faces": len(faces), "readable": image is not None, **times}
            if face is None:
                kept.put(key, facts)
            else:
                kept.put(
                    key,
                    {**facts, "score": face.score, "scheme": face.scheme},
                    box=np.array(face.box),
                    keypoints=face.keypoints,
                )
            if picture in steady and image is not None and face is not None:
                trembles = jitter(detector, image, face, seed=int(key[:8], 16) % 2**16)
                kept.put(_jitter_key(key), asdict(trembles))
            done(1)


def _loaded(job: Looking, pictures: Sequence[str]) -> Iterator[list[tuple[str, Image | None]]]:
    """Batches in order; the next two are being loaded meanwhile."""

    def batches() -> Iterable[Sequence[str]]:
        return (pictures[at : at + job.batch] for at in range(0, len(pictures), job.batch))

    with ThreadPoolExecutor(job.loaders) as pool:
        ahead: deque[list[tuple[str, Future[Image | None]]]] = deque()
        for batch in batches():
            ahead.append([(picture, pool.submit(load, job.root / picture)) for picture in batch])
            if len(ahead) > 2:
                yield [(picture, future.result()) for picture, future in ahead.popleft()]
        while ahead:
            yield [(picture, future.result()) for picture, future in ahead.popleft()]


def _is_kept(job: Looking, picture: str, kept: Kept, *, steady: bool) -> bool:
    key = look_key(job, picture)
    record = kept.get(key)
    if record is None:
        return False
    return "score" not in record[0] or not steady or kept.get(_jitter_key(key)) is not None


def _look(
    record: tuple[Mapping[str, Any], Mapping[str, Any]],
    key: str,
    trembles: tuple[Mapping[str, Any], Mapping[str, Any]] | None,
) -> Look:
    facts, arrays = record
    face = None
    if "score" in facts:
        left, top, right, bottom = map(float, arrays["box"])
        face = DetectedFace(
            (left, top, right, bottom), float(facts["score"]), arrays["keypoints"], str(facts["scheme"])
        )
    return Look(
        face=face,
        faces=int(facts["faces"]),
        seconds=float(facts["seconds"]),
        cpu_seconds=float(facts["cpu_seconds"]),
        readable=bool(facts["readable"]),
        key=key,
        jitter=Jitter(**trembles[0]) if trembles is not None else None,
    )


def _jitter_key(key: str) -> str:
    return content_key("jitter", key)


def _footprint_key(job: Looking) -> str:
    where = str(job.root.resolve())
    return content_key("footprint", job.code, job.detector, job.device.value, str(job.batch), where)


_fingerprints: dict[tuple[str, int, int], str] = {}


def _fingerprint(path: Path) -> str:
    try:
        stat = path.stat()
        stamp = (str(path), stat.st_size, stat.st_mtime_ns)
        if stamp not in _fingerprints:
            _fingerprints[stamp] = hashlib.sha256(path.read_bytes()).hexdigest()
        return _fingerprints[stamp]
    except OSError:
        return "missing"

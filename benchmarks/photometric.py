"""Milliseconds per enrollment of matching the skin of selfies: OpenCV and numpy against torch in batches.

    OMP_NUM_THREADS=1 python benchmarks/photometric.py [--batches 1 8 32] [--heads 4] [--device cpu]
        [--repeats 3] [--threads 1] [--json FILE]

Heads of the simulation in five poses, rendered as selfies 720 pixels wide, with the landmark fit made before
the clock starts. Every figure is of the work that follows it: cutting out, three rounds of unrolling, flow
and selection, and the solver between. Both ways are timed in turns in one run, so that their ratio holds on
a machine with other work; processor time is shown beside the clock for the same reason. Where torch has a
CUDA device it is timed too, unless --device says else. The profile takes the batched way apart.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import skimage.data
import torch
from rich.console import Console
from rich.table import Table

from recon_service.application.computing.enroll import Selfie, selfie_capture
from recon_service.application.computing.photometric import LandmarkFit, refined
from recon_service.application.computing.photometric_of_many import refined_together
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import APPEARANCE_OFF, ModelChoice, build_pipeline
from recon_service.demo.simulated import texture_of
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.fitting import fit_identity
from recon_service.matching import SurfaceMatcher
from recon_service.matching.batched import BatchedSurfaceMatcher, TorchDevice
from recon_service.matching.batched.flow import motions_of
from recon_service.matching.batched.inverse_search import inverse_search
from recon_service.quality import assess
from recon_service.simulation.heads import sample_head
from recon_service.simulation.texture import PortraitTexture, render_selfie

POSES = ((0.0, 0.0), (-18.0, 2.0), (18.0, -2.0), (-9.0, -8.0), (9.0, 8.0))
CAMERA = PinholeCamera(width=720, height=960, fx=760.0, fy=760.0, cx=359.5, cy=479.5)
FOCAL_35MM = 760.0 * 43.267 / 1200.0
"""What such a phone writes into its files."""
CPU = torch.device("cpu")
HEADS = 4
"""Different heads; larger batches repeat them, which changes nothing for the clock."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one enrollment, in milliseconds: by the clock, and of the processor."""

    clock: float
    processor: float


def people(pipeline: FacePipeline, heads: int) -> list[LandmarkFit]:
    """Heads with the astronaut's skin, seen five times, landmarks by the real detector."""
    rng = np.random.default_rng(0)
    content = cv2.imencode(".png", cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR))[1].tobytes()
    texture = texture_of(content, pipeline)
    return [person(pipeline, texture, rng) for _ in range(heads)]


def person(pipeline: FacePipeline, texture: PortraitTexture, rng: np.random.Generator) -> LandmarkFit:
    head = sample_head(pipeline.model, rng).surface()
    images, captures = [], []
    for yaw, pitch in POSES:
        pose = HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=0.0, translation=np.array([0.0, 0.0, 420.0]))
        image = Image(render_selfie(head, CAMERA, pose, texture).pixels, FOCAL_35MM)
        face = pipeline.detector.detect(image)[0]
        landmarks = pipeline.landmarker.landmarks(image, face)
        images.append(image)
        captures.append(selfie_capture(Selfie(image, face, landmarks, assess(image, [face], landmarks))))
    return of_first(pipeline, images, captures)


def of_first(pipeline: FacePipeline, images: Sequence[Image], captures: Sequence[Capture]) -> LandmarkFit:
    fit = fit_identity(pipeline.model, captures, landmark_model=pipeline.landmark_model)
    return LandmarkFit(fit, captures, images)


def timed(work: Callable[[], object], share: int, device: torch.device) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return Timing(1000 * (time.perf_counter() - wall) / share, 1000 * (time.process_time() - cpu) / share)


def median(timings: Sequence[Timing]) -> Timing:
    return Timing(*(float(np.median([getattr(t, name) for t in timings])) for name in ("clock", "processor")))


class Stages:
    """Milliseconds by the name of a stage: of the processor, or by the clock where kernels run elsewhere."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.times: dict[str, float] = defaultdict(float)

    def watched(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            # Not what was started before: kernels run behind the program's back.
            self._wait()
            start = self._now()
            result = work(*args, **kwargs)
            self._wait()
            self.times[name] += 1000 * (self._now() - start)
            return result

        return watched

    def _now(self) -> float:
        return time.perf_counter() if self.device.type == "cuda" else time.process_time()

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within, the stages of the batched matcher note their time."""
        package, kind = BatchedSurfaceMatcher.__module__.rpartition(".")[0], BatchedSurfaceMatcher
        stages = {
            "cut out": (f"{package}.matcher.{kind.__name__}.views", kind.views),
            "unroll, light, contrast": (f"{package}.matcher.{kind.__name__}.unrolled", kind.unrolled),
            "inverse search": (f"{package}.flow.inverse_search", inverse_search),
            "flow with likeness": (f"{package}.matcher.motions_of", motions_of),
            "all of matching": (f"{package}.matcher.{kind.__name__}.matches_of", kind.matches_of),
            "solver": (f"{refined.__module__}.fit_identity", fit_identity),
        }
        with ExitStack() as stack:
            for name, (place, work) in stages.items():
                stack.enter_context(mock.patch(place, self.watched(name, work)))
            yield


def devices(choice: str) -> list[TorchDevice]:
    if choice != "all":
        return [TorchDevice(choice)]
    return [TorchDevice.CPU, *([TorchDevice.CUDA] if torch.cuda.is_available() else [])]


@dataclass(frozen=True, slots=True)
class Ways:
    """The two ways from landmark fits to photometric ones."""

    pipeline: FacePipeline
    single: SurfaceMatcher
    threads: int

    def alone(self, one: LandmarkFit) -> Fit | None:
        return refined(
            one,
            model=self.pipeline.model,
            landmark_model=self.pipeline.landmark_model,
            matcher=self.single,
        )

    def together(self, some: Sequence[LandmarkFit], matcher: BatchedSurfaceMatcher) -> list[Fit | None]:
        return refined_together(
            some,
            model=self.pipeline.model,
            landmark_model=self.pipeline.landmark_model,
            matcher=matcher,
            threads=self.threads,
        )


def by_number(ways: Ways, everybody: Sequence[LandmarkFit], repeats: int) -> dict[int, Timing]:
    """Three selfies against five, by OpenCV, turn by turn."""
    cases = {
        n: [of_first(ways.pipeline, p.images[:n], p.captures[:n]) for p in everybody[:HEADS]] for n in (3, 5)
    }
    timings: dict[int, list[Timing]] = defaultdict(list)
    for turn in range(repeats + 1):  # the first is not counted
        for count, some in cases.items():
            for p in some:
                one = timed(partial(ways.alone, p), 1, CPU)
                if turn:
                    timings[count].append(one)
    return {count: median(some) for count, some in timings.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """One device and one size of batch, five selfies each."""

    device: str
    batch: int
    opencv: Timing
    torch: Timing
    stages_ms: dict[str, float]

    @classmethod
    def of(
        cls,
        ways: Ways,
        matcher: BatchedSurfaceMatcher,
        everybody: Sequence[LandmarkFit],
        size: int,
        repeats: int,
    ) -> Row:
        some, alone, together = everybody[:size], list[Timing](), list[Timing]()
        for _ in range(repeats):
            alone += [timed(partial(ways.alone, one), 1, CPU) for one in some[:HEADS]]
            together += [timed(partial(ways.together, some, matcher), size, matcher.device)]
        stages = Stages(matcher.device)
        with stages.watching():
            ways.together(some, matcher)
        profile = {name: ms / size for name, ms in stages.times.items()}
        return cls(matcher.device.type, size, median(alone), median(together), profile)


def difference(
    ways: Ways, matcher: BatchedSurfaceMatcher, everybody: Sequence[LandmarkFit]
) -> tuple[float, float]:
    """How far the identities of the two ways lie apart, in standard deviations of the posterior: root mean
    square over people and modes, and over people in the worst mode.
    """
    off = []
    for one, found in zip(everybody, ways.together(everybody, matcher), strict=True):
        wanted = ways.alone(one)
        if found is not None and wanted is not None:
            sd = np.sqrt(np.diag(wanted.posterior.covariance))
            off.append((found.posterior.mean - wanted.posterior.mean) / sd)
    squares = np.square(off)
    return float(np.sqrt(squares.mean())), float(np.sqrt(squares.mean(axis=0).max()))


def printed(rows: Sequence[Row], console: Console) -> None:
    table = Table(title="Five selfies, ms per enrollment")
    for column in ("device", "batch", "OpenCV", "torch", "OpenCV / torch", "processor: OpenCV", "torch"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.device,
            str(row.batch),
            f"{row.opencv.clock:.0f}",
            f"{row.torch.clock:.0f}",
            f"{row.opencv.clock / row.torch.clock:.2f}",
            f"{row.opencv.processor:.0f}",
            f"{row.torch.processor:.0f}",
        )
    console.print(table)
    table = Table(title="Where the time of torch goes, ms per enrollment")
    for column in ("device", "batch", *rows[0].stages_ms):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.device, str(row.batch), *(f"{ms:.1f}" for ms in row.stages_ms.values()))
    console.print(table)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--heads", type=int, default=HEADS, help="different heads")
    parser.add_argument("--device", default="all", choices=["all", *(d.value for d in TorchDevice)])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--threads", type=int, default=1, help="of the solver in the batched way, and of torch"
    )
    parser.add_argument("--model", type=ModelChoice, default=ModelChoice.AUTO, choices=list(ModelChoice))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(arguments.threads)
    console, pipeline = Console(), build_pipeline(arguments.model, appearance=APPEARANCE_OFF)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        console.print("[yellow]OMP_NUM_THREADS is not 1: these are not the times of one core.[/yellow]")
    heads = people(pipeline, arguments.heads)
    everybody = [heads[k % len(heads)] for k in range(max(*arguments.batches, HEADS))]
    ways = Ways(pipeline, SurfaceMatcher(pipeline.model), arguments.threads)

    selfies = by_number(ways, everybody, arguments.repeats)
    table = Table(title=f"OpenCV and numpy, one core, model {pipeline.model.name}")
    for column in ("selfies", "ms by the clock", "ms of the processor"):
        table.add_column(column, justify="right")
    for count, timing in selfies.items():
        table.add_row(str(count), f"{timing.clock:.0f}", f"{timing.processor:.0f}")
    console.print(table)

    rows: list[Row] = []
    apart: dict[str, tuple[float, float]] = {}
    for choice in devices(arguments.device):
        matcher = BatchedSurfaceMatcher(pipeline.model, device=choice)
        ways.together(everybody[:1], matcher)
        apart[matcher.device.type] = difference(ways, matcher, heads)
        rows += [Row.of(ways, matcher, everybody, size, arguments.repeats) for size in arguments.batches]
    printed(rows, console)
    for device, (overall, worst) in apart.items():
        console.print(
            f"Identities on {device} against OpenCV, {len(heads)} heads, in standard deviations of the "
            f"posterior: {overall:.2f} (rms), {worst:.2f} in the worst mode"
        )
    if arguments.json:
        found = {
            "model": pipeline.model.name,
            "threads": arguments.threads,
            "opencv": {count: asdict(t) for count, t in selfies.items()},
            "torch": [asdict(row) for row in rows],
            "difference_sd": apart,
        }
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

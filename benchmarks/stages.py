"""Milliseconds of processor time per stage of the two sentences, on one core.

    OMP_NUM_THREADS=1 python benchmarks/stages.py [--root KINECT_FOLDER] [--rounds 30]

Selfies: the two portraits as 1080-pixel-wide JPEG files, from bytes to the identity posterior; and three
rendered views of one head, whose skin is matched. Depth: real frames with their infrared picture where ROOT
is given, else ray-cast ones, from pixels to the posterior. Medians. Processor time is less moved by what else
the machine does than the clock is.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import matplotlib.cbook
import numpy as np
import skimage.data
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

from recon_service.application.computing.consistency import by_skin
from recon_service.application.computing.enroll import START_STEPS, Selfie, enroll, examine, selfie_capture
from recon_service.application.computing.photometric import LandmarkFit, refined
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.demo.simulated import simulated_person, texture_of
from recon_service.depth import depth_capture
from recon_service.domain.depth_frame import DepthFrame
from recon_service.evaluation.kinect2 import kinect2_subjects
from recon_service.fitting import fit_identity
from recon_service.imaging import decode_image
from recon_service.quality import assess
from recon_service.simulation.capture import KIOSK_CAMERA, simulate_capture, visit_pose
from recon_service.simulation.heads import sample_head
from recon_service.simulation.sensors import Stereo

WIDTH = 1080
Result = TypeVar("Result")


class Stopwatch:
    """Collects the milliseconds of processor time of named stages."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    def of(self, stage: str, work: Callable[[], Result]) -> Result:
        """The result of ``work``, its time noted under ``stage``."""
        start = time.process_time()
        result = work()
        self.times[stage].append(1000 * (time.process_time() - start))
        return result


def portraits() -> list[bytes]:
    """The two portraits that ship in packages, as JPEG files of a phone's size."""
    with PillowImage.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        pictures = [PillowImage.fromarray(skimage.data.astronaut()), file.convert("RGB")]
    contents = []
    for picture in pictures:
        stream = io.BytesIO()
        picture.resize((WIDTH, round(WIDTH * picture.height / picture.width))).save(
            stream, "JPEG", quality=90
        )
        contents.append(stream.getvalue())
    return contents


def depth_frames(root: Path | None, pipeline: FacePipeline) -> tuple[str, list[DepthFrame]]:
    """Frames to time, and what they are."""
    if root is not None:
        subjects = list(kinect2_subjects(root))
        return "Kinect v2 with infrared", [s.depth(f) for s in subjects[:4] for f in s.frames()[::9]]
    rng = np.random.default_rng(0)
    frames = [
        simulate_capture(
            sample_head(pipeline.model, rng).surface(),
            KIOSK_CAMERA,
            visit_pose(rng),
            Stereo(),
            rng,
            wall_mm=1200.0,
        )
        for _ in range(6)
    ]
    return "simulated stereo, no image", frames


def time_selfie(content: bytes, pipeline: FacePipeline, watch: Stopwatch) -> None:
    """Every stage of one selfie, and the whole as the application runs it."""
    image = watch.of("decode", lambda: decode_image(content))
    faces = watch.of("detect", lambda: pipeline.detector.detect(image))
    landmarks = watch.of("landmarks", lambda: pipeline.landmarker.landmarks(image, faces[0]))
    report = watch.of("quality", lambda: assess(image, faces, landmarks))
    capture = selfie_capture(Selfie(image, faces[0], landmarks, report))
    watch.of("fit", lambda: fit_identity(pipeline.model, [capture], landmark_model=pipeline.landmark_model))
    watch.of("selfie bytes → posterior", lambda: enroll([content], pipeline))


def time_several(contents: Sequence[bytes], pipeline: FacePipeline, watch: Stopwatch) -> None:
    """Several selfies of one person with and without matching the skin, and the stages of it."""
    count = len(contents)
    selfies = watch.of(
        f"{count} selfies: found and assessed", lambda: [examine(c, pipeline) for c in contents]
    )
    captures, images = [selfie_capture(s) for s in selfies], [s.image for s in selfies if s.image is not None]
    model, seen, matcher = pipeline.model, pipeline.landmark_model, pipeline.matcher
    assert matcher is not None
    start = watch.of(
        f"{count} selfies: fit to start from",
        lambda: fit_identity(model, captures, landmark_model=seen, iterations=START_STEPS, provisional=True),
    )
    fit = watch.of(
        f"{count} selfies: skin matched, fitted",
        lambda: refined(
            LandmarkFit(start, captures, images), model=model, landmark_model=seen, matcher=matcher
        ),
    )
    assert fit is not None
    views = matcher.views(images, fit)
    watch.of(f"{count} selfies: one person's skin", lambda: by_skin(fit, images, matcher, views))
    watch.of(
        f"{count} selfies → posterior, landmarks alone",
        lambda: enroll(contents, replace(pipeline, matcher=None)),
    )
    watch.of(f"{count} selfies → posterior, skin matched", lambda: enroll(contents, pipeline))


def time_depth(frame: DepthFrame, pipeline: FacePipeline, watch: Stopwatch) -> None:
    """Every stage of one depth frame, and the whole as the application runs it."""
    landmarks = None
    if frame.image is not None:
        picture = frame.image
        faces = watch.of("detect", lambda: pipeline.detector.detect(picture))
        landmarks = watch.of("landmarks", lambda: pipeline.landmarker.landmarks(picture, faces[0]))
    capture = watch.of(
        "clean and start",
        lambda: depth_capture(
            frame, landmarks=landmarks, model=pipeline.model, landmark_model=pipeline.landmark_model
        ),
    )
    watch.of("fit", lambda: fit_identity(pipeline.model, [capture], landmark_model=pipeline.landmark_model))
    watch.of("depth frame → posterior", lambda: observe([frame], pipeline))


def printed(title: str, watch: Stopwatch) -> Table:
    """Medians and 95th percentiles."""
    table = Table(title=title)
    for column in ("stage", "median ms", "95 %"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage, values in watch.times.items():
        table.add_row(stage, f"{np.median(values):.1f}", f"{np.percentile(values, 95):.1f}")
    return table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, help="folder of Kinect v2 captures")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--model", type=ModelChoice, default=ModelChoice.AUTO, choices=list(ModelChoice))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    console, pipeline = Console(), build_pipeline(arguments.model)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        console.print("[yellow]OMP_NUM_THREADS is not 1: these are not the times of one core.[/yellow]")
    contents = portraits()
    kind, frames = depth_frames(arguments.root, pipeline)
    enroll(contents, pipeline)  # the first run of a network plans its memory
    observe(frames[:1], pipeline)
    rng = np.random.default_rng(0)
    views = simulated_person("head", texture_of(contents[1], pipeline), pipeline, rng).selfies
    selfies, depths = Stopwatch(), Stopwatch()
    for number in range(arguments.rounds):
        time_selfie(contents[number % len(contents)], pipeline, selfies)
        time_several(views, pipeline, selfies)
        time_depth(frames[number % len(frames)], pipeline, depths)
    console.print(printed(f"Selfie, {WIDTH} px wide, model {pipeline.model.name}", selfies))
    console.print(printed(f"Depth: {kind}, model {pipeline.model.name}", depths))


if __name__ == "__main__":
    main()

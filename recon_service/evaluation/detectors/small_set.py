"""A small data set in the layout of Labeled Faces in the Wild, from what is free: two portraits that ship in
packages, changed in known ways, and, where there are recordings of a depth camera, their infrared frames.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.detectors.pairs import PairedPictures, draw_pairs, read_pairs
from recon_service.evaluation.kinect2 import Kinect2Subject, kinect2_subjects
from recon_service.imaging import decode_image
from recon_service.simulation.population.portraits import free_portraits

Pixels = NDArray[np.uint8]
DISTANT_SIDE: Final = 320
"""Side of the frame in which a distant face stands."""
NOTICE = "Pictures of people: for measuring detectors here, not to be passed on.\n"


def make_small_set(
    folder: Path, *, infrared: Path | None, per_person: int = 6, subjects: int | None = None, seed: int = 0
) -> PairedPictures:
    """Write pictures and ``pairs.csv`` into ``folder``, which must be empty or missing, and read them back.

    infrared: folder of Kinect v2 head crops (sNN/FF_ir.png). per_person: pictures of each. subjects: of the
    recordings, only the first so many. The same arguments give the same files. Raises InvalidValue.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InvalidValue("the folder is not empty", next_step="Name one that does not exist yet.")
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "NOTICE").write_text(NOTICE, encoding="utf-8")
    for name, content in free_portraits().items():
        person = name.replace("-", "_")
        _write(folder, person, (_photograph(decode_image(content).pixels, rng) for _ in range(per_person)))
    if infrared is not None:
        for subject in list(kinect2_subjects(infrared))[:subjects]:
            _write(folder, subject.name, _frames(subject, per_person, rng))
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["first", "second", "same", "fold"])
        for pair in draw_pairs(folder, seed=seed):
            writer.writerow([pair.first, pair.second, int(pair.same), pair.fold])
    return read_pairs(folder)


def _write(folder: Path, person: str, pictures: Iterator[Pixels]) -> None:
    (folder / person).mkdir()
    for number, pixels in enumerate(pictures, start=1):
        path = folder / person / f"{person}_{number:04d}.png"
        _, content = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        path.write_bytes(content.tobytes())


def _frames(subject: Kinect2Subject, count: int, rng: np.random.Generator) -> Iterator[Pixels]:
    """Frames spread over the poses; every second one stands far away."""
    frames = subject.frames()
    chosen = rng.permutation(len(frames))[:count]
    for number, at in enumerate(chosen):
        pixels = subject.infrared(frames[at]).pixels
        yield _distant(pixels, rng) if number % 2 else pixels


def _distant(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture somewhere in a larger one, with the noise of a poor camera."""
    canvas = np.full((DISTANT_SIDE, DISTANT_SIDE, 3), int(pixels[:4].mean()), np.uint8)
    height, width = pixels.shape[:2]
    top, left = (int(rng.integers(0, DISTANT_SIDE - length + 1)) for length in (height, width))
    canvas[top : top + height, left : left + width] = pixels
    return _noisy(canvas, rng, 8.0)


def _photograph(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The portrait turned, scaled and moved, in other light, through a poorer camera, as a small JPEG."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height * 0.35), rng.uniform(-15, 15), rng.uniform(0.45, 0.9))
    turn[:, 2] += rng.uniform(-0.06, 0.06, 2) * width
    # Not mirrored at the edges: that would be more faces.
    moved = cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    gain, gamma = rng.uniform(0.7, 1.2), rng.uniform(0.75, 1.4)
    lit = np.clip(255 * gain * (moved / 255.0) ** gamma, 0, 255).astype(np.uint8)
    soft = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.4, 1.4))
    _, content = cv2.imencode(
        ".jpg",
        _noisy(np.asarray(soft, np.uint8), rng, 4.0),
        [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 90))],
    )
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


def _noisy(pixels: Pixels, rng: np.random.Generator, sd: float) -> Pixels:
    return np.clip(pixels + rng.normal(0, sd, pixels.shape), 0, 255).astype(np.uint8)

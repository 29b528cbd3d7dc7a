"""What the browser's camera sees: films in Y4M, made from pictures of people who do not exist."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.population import SyntheticPopulation
from recon_service.simulation.population.selfies import photograph
from recon_service.simulation.population.spec import PopulationSpec

WIDTH, HEIGHT, FPS = 600, 800, 8
SEED = 11
FRONT = (0.0, 0.0)
POSES = (FRONT, (27.0, 0.0), (-27.0, 0.0), (0.0, 17.0), (0.0, -17.0))
"""(yaw, pitch) in degrees, in the order in which the page asks for them."""

Picture = NDArray[np.uint8]


@cache
def jpeg(index: int, yaw: float, pitch: float) -> bytes:
    """A selfie of a person; the same whoever asks."""
    population = SyntheticPopulation(PopulationSpec(seed=SEED, subjects=8, width=WIDTH, height=HEIGHT))
    person = population.subject(index).person
    number = round(10_000 + yaw + 100 * pitch)
    return photograph(person, number, (yaw, pitch), Kept(None), degraded=False).content


@cache
def selfie(index: int, yaw: float = 0.0, pitch: float = 0.0) -> Picture:
    """(HEIGHT, WIDTH, 3) RGB."""
    return np.asarray(PillowImage.open(io.BytesIO(jpeg(index, yaw, pitch))).convert("RGB"))


def nobody() -> Picture:
    """A wall."""
    return np.full((HEIGHT, WIDTH, 3), (170, 165, 158), dtype=np.uint8)


def two_people(first: int = 0, second: int = 1) -> Picture:
    """Side by side."""
    halves = [selfie(person)[:, WIDTH // 6 : -WIDTH // 6] for person in (first, second)]
    both = cv2.resize(np.hstack(halves), (WIDTH, HEIGHT * WIDTH // (2 * halves[0].shape[1])))
    out = nobody()
    top = (HEIGHT - both.shape[0]) // 2
    out[top : top + both.shape[0]] = both
    return out


def dark(index: int = 0) -> Picture:
    """The same face with hardly any light."""
    return (selfie(index) * 0.12).astype(np.uint8)


def far(index: int = 0) -> Picture:
    """The same face at three times the distance."""
    out = nobody()
    small = cv2.resize(selfie(index), (WIDTH // 3, HEIGHT // 3), interpolation=cv2.INTER_AREA)
    top, left = (HEIGHT - small.shape[0]) // 2, (WIDTH - small.shape[1]) // 2
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out


def film(path: Path, scenes: Iterable[tuple[Picture, float]]) -> Path:
    """Write a film that the browser plays again and again. scenes: picture and seconds."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420mpeg2\n".encode())
        for picture, seconds in scenes:
            planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).tobytes()
            for _ in range(max(1, round(seconds * FPS))):
                file.write(b"FRAME\n" + planes)
    return path


def turning(index: int, poses: Sequence[tuple[float, float]] = POSES, *, seconds: float = 1.4) -> list[
    tuple[Picture, float]
]:
    """The scenes of somebody who does what the page says."""
    return [(selfie(index, *pose), seconds) for pose in poses]

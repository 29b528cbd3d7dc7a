"""What the browser's camera sees: films in Y4M, made from pictures of people who do not exist."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

FOLDER = Path(__file__).parent / "people"
WIDTH, HEIGHT, FPS = 600, 800, 8
POSES = {
    "front": (0.0, 0.0),
    "left": (27.0, 0.0),
    "right": (-27.0, 0.0),
    "up": (0.0, 17.0),
    "down": (0.0, -17.0),
}
"""(yaw, pitch) in degrees, in the order in which the page asks for them."""

EYES = ((222, 324), (366, 318))
"""Centers of the eyes on the front selfie of person 1."""

Picture = NDArray[np.uint8]


def file_of(index: int, pose: str) -> Path:
    """A rendered selfie; see ``make_people.py``."""
    return FOLDER / f"{index}-{pose}.jpg"


@cache
def selfie(index: int, pose: str = "front") -> Picture:
    """(HEIGHT, WIDTH, 3) RGB."""
    return np.asarray(PillowImage.open(file_of(index, pose)).convert("RGB"))


def nobody() -> Picture:
    """A wall."""
    return np.full((HEIGHT, WIDTH, 3), (170, 165, 158), dtype=np.uint8)


def two_people() -> Picture:
    """Side by side."""
    halves = [selfie(person)[:, WIDTH // 6 : -WIDTH // 6] for person in (1, 3)]
    width = 2 * halves[0].shape[1]
    both = cv2.resize(np.hstack(halves), (WIDTH, HEIGHT * WIDTH // width), interpolation=cv2.INTER_AREA)
    return _on_wall(both)


def dark() -> Picture:
    """The same face with hardly any light."""
    return (selfie(1) * 0.12).astype(np.uint8)


def mirroring() -> Picture:
    """Windows in the glasses of the same face."""
    out = selfie(1).copy()
    for x, y in EYES:
        cv2.ellipse(out, ((float(x), float(y)), (46.0, 22.0), 20.0), (255, 255, 255), -1, cv2.LINE_AA)
    return out


def far() -> Picture:
    """The same face at more than twice the distance."""
    size = (WIDTH * 2 // 5, HEIGHT * 2 // 5)
    return _on_wall(cv2.resize(selfie(1), size, interpolation=cv2.INTER_AREA))


def portrait(pixels: NDArray[np.uint8], center: tuple[int, int], height: int) -> Picture:
    """A part of a real photograph as the camera would see it, 3 : 4 around ``center`` (x, y)."""
    width = height * WIDTH // HEIGHT
    left, top = max(0, center[0] - width // 2), max(0, center[1] - height // 2)
    part = pixels[top : top + height, left : left + width]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _on_wall(picture: NDArray[np.generic]) -> Picture:
    out = nobody()
    top, left = (HEIGHT - picture.shape[0]) // 2, (WIDTH - picture.shape[1]) // 2
    out[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
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


def obedient(*, seconds: float = 1.3) -> list[tuple[Picture, float]]:
    """Somebody who does what the page says."""
    return [(selfie(1, pose), seconds) for pose in POSES]


def troubled(*, seconds: float = 1.4) -> list[tuple[Picture, float]]:
    """Everything that can be wrong, and never a frontal face in good light."""
    scenes = (nobody(), two_people(), dark(), mirroring(), far(), selfie(1, "left"))
    return [(picture, seconds) for picture in scenes]

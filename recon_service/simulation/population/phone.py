"""The phone: where it is held, what its camera adds, and the file that it writes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.images import FULL_FRAME_DIAGONAL_MM
from recon_service.simulation.population.appearance import Floats

FOCAL_35MM: Final = (26.0, 30.0)
FOCAL_SD: Final = 0.015
"""Relative error of the focal length that the file states, beside its rounding to whole millimetres."""
DISTANCE_MM: Final = (270.0, 360.0)
"""From the lens to the face."""
FACE_FRONT_MM: Final = 95.0
"""The face lies about this far before the origin of the head frame."""
SKIN_LEVEL: Final = 0.30
"""Linear brightness that the exposure aims at for the face."""
EXIF_IFD: Final = 0x8769
FOCAL_TAG: Final = 0xA405


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone. focal_35mm: of its front camera in truth. stated_35mm: what its files say. shot, read:
    sensor noise, variance per linear brightness and at black. sharpening, contrast, saturation: of its
    processing.
    """

    focal_35mm: float
    stated_35mm: int
    shot: float
    read: float
    sharpening: float
    contrast: float
    saturation: float

    def camera(self, width: int, height: int) -> PinholeCamera:
        """The true intrinsics of its pictures."""
        focal = self.focal_35mm / FULL_FRAME_DIAGONAL_MM * float(np.hypot(width, height))
        return PinholeCamera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def sample_phone(rng: np.random.Generator) -> Phone:
    """A phone of its own."""
    focal = rng.uniform(*FOCAL_35MM)
    return Phone(
        focal_35mm=float(focal),
        stated_35mm=round(focal * (1 + FOCAL_SD * rng.standard_normal())),
        shot=float(rng.uniform(0.0006, 0.0022)),
        read=float(rng.uniform(1e-6, 6e-6)),
        sharpening=float(rng.uniform(0.15, 0.6)),
        contrast=float(rng.uniform(0.0, 0.35)),
        saturation=float(rng.uniform(0.9, 1.15)),
    )


@dataclass(frozen=True, slots=True)
class Degradation:
    """What a poor phone or a messenger does to a picture: half the resolution, more noise, another tone curve
    and strong compression. noise: factor on the variance. gamma: exponent on the written values.
    """

    noise: float
    gamma: float
    quality: int = 50

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Degradation:
        return cls(noise=float(rng.uniform(4.0, 8.0)), gamma=float(np.exp(rng.uniform(-0.35, 0.35))))


def developed(
    linear: Floats,
    face: NDArray[np.bool_],
    phone: Phone,
    rng: np.random.Generator,
    *,
    degradation: Degradation | None = None,
) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 that the phone makes of linear light: exposed for the face, with lens blur,
    noise, denoising, sharpening and a tone curve.
    """
    if degradation is not None:
        size = (linear.shape[1] // 2, linear.shape[0] // 2)
        linear = np.asarray(cv2.resize(linear, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
        face = cv2.resize(face.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
    level = float(np.median(linear[face] @ np.array([0.3, 0.6, 0.1], np.float32))) if face.any() else 0.3
    # Automatic exposure takes away most of the difference between dark and light faces, not all.
    exposure = (SKIN_LEVEL / level) ** 0.8 * float(np.exp(rng.normal(0, 0.08)))
    balance = np.exp(rng.normal(0, 0.025, 3)).astype(np.float32)
    light = cv2.GaussianBlur(linear, (0, 0), 0.6) * (np.float32(exposure) * balance)
    factor = 1.0 if degradation is None else degradation.noise
    sd = np.sqrt(factor * (phone.shot * np.maximum(light, 0) + phone.read)).astype(np.float32)
    light = light + sd * rng.standard_normal(light.shape, dtype=np.float32)
    light = cv2.GaussianBlur(light, (0, 0), 0.55)
    soft = np.where(light > 0.7, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.3), np.maximum(light, 0))
    written = np.where(soft <= 0.0031308, 12.92 * soft, 1.055 * np.maximum(soft, 1e-6) ** (1 / 2.4) - 0.055)
    written = written.astype(np.float32)
    written += np.float32(phone.sharpening) * (written - cv2.GaussianBlur(written, (0, 0), 1.4))
    written = np.clip(written, 0, 1)
    written += np.float32(phone.contrast) * (written - 0.5) * written * (1 - written) * 2
    gray = written.mean(axis=2, keepdims=True)
    written = np.clip(gray + np.float32(phone.saturation) * (written - gray), 0, 1)
    if degradation is not None:
        written = written ** np.float32(degradation.gamma)
    return np.asarray(np.round(255 * written), dtype=np.uint8)


def jpeg(pixels: NDArray[np.uint8], *, quality: int, focal_35mm: int | None) -> bytes:
    """JPEG bytes that state the focal length, as a phone's do, unless it is None."""
    exif = PillowImage.Exif()
    if focal_35mm is not None:
        exif.get_ifd(EXIF_IFD)[FOCAL_TAG] = focal_35mm
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def sample_backdrop(width: int, height: int, rng: np.random.Generator) -> Floats:
    """(H, W, 3) float32 linear: something out of focus, a room or a street."""
    cells = tuple(int(n) for n in rng.integers(3, 12, 2))
    coarse = rng.standard_normal((*cells, 3), dtype=np.float32) * 0.08
    coarse += rng.standard_normal((*cells, 1), dtype=np.float32) * 0.5 + rng.normal(0, 0.12, 3).astype(
        np.float32
    )
    small = (max(width // 6, 1), max(height // 6, 1))
    image = cv2.resize(coarse, small, interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(3, 9))):
        corner = rng.integers(0, small)
        size = rng.integers(small[0] // 12 + 1, small[0] // 2 + 2, 2)
        end = tuple(int(c) for c in corner + size)
        cv2.rectangle(
            image,
            tuple(int(c) for c in corner),
            end,
            (rng.normal(0, 0.7) + rng.normal(0, 0.15, 3)).tolist(),
            -1,
        )
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(2.0, 7.0)))
    image = cv2.resize(
        np.exp(image - 1.6 + rng.normal(0, 0.4)), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(image, dtype=np.float32)

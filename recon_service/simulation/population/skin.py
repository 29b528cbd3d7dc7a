"""The color of one person's skin: a tone, uneven as skin is, with the details of portraits, brows, lips,
stubble and moles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.simulation.population.shape import DenseBasis
from recon_service.simulation.population.unwrapped import SIDE, Unwrapping, row_heights, unwrapped_pixels

Map = NDArray[np.float32]

TONES: Final = np.array(
    [
        [0.78, 0.52, 0.41],
        [0.66, 0.41, 0.29],
        [0.52, 0.30, 0.19],
        [0.35, 0.18, 0.105],
        [0.19, 0.088, 0.049],
        [0.085, 0.040, 0.025],
    ]
)
"""Linear RGB albedo from light to dark skin; plausible, not measured."""
HAIR_COLORS: Final = np.array(
    [
        [0.012, 0.009, 0.008],
        [0.035, 0.019, 0.011],
        [0.09, 0.048, 0.024],
        [0.26, 0.16, 0.075],
        [0.2, 0.19, 0.18],
    ]
)
PIXEL_MM: Final = 0.31
"""Mean size of a pixel of the unwrapped skin."""
BROW_MM: Final = 3.4
"""Half the thickness of brows in their middle."""
BROW_DROP_MM: Final = 2.5
"""Brows lie this much below the landmarks, which mark their upper edge."""
WARP_MM: Final = 1.6
"""How far the details of portraits are moved about, a different way in every head."""
TILE_SIDE: Final = 1024
TILE_MM: Final = 0.25
"""Pixel of the tiles of fine structure, which are laid on the skin from three sides."""


@dataclass(frozen=True, slots=True)
class SkinPlan:
    """What is the same in all heads, on the unwrapped skin (SIDE, SIDE): 0 to 1 each.

    brows, lips: where they are at full strength. lashes: the rims of the lids. beard: where a beard grows.
    face: skin of the face proper. details: of the portraits, see ``unwrapped_portraits``.
    """

    brows: Map
    lips: Map
    lashes: Map
    beard: Map
    details: Sequence[Map]

    @classmethod
    def of(cls, basis: DenseBasis, unwrapping: Unwrapping, details: Sequence[Map]) -> SkinPlan:
        points = unwrapped_pixels(basis.mean)
        marks = points[basis.ibug68]
        brows = np.zeros((SIDE, SIDE), np.float32)
        for five in (marks[17:22], marks[22:27]):
            _tapered(
                brows,
                _between(five, 60) + np.array([0, BROW_DROP_MM / PIXEL_MM], np.float32),
                BROW_MM / PIXEL_MM,
            )
        lips = np.zeros((SIDE, SIDE), np.float32)
        cv2.fillPoly(
            lips, [np.round(_between(np.concatenate([marks[48:60], marks[48:49]]), 90)).astype(int)], 1
        )
        lashes = np.zeros((SIDE, SIDE), np.float32)
        for loop in basis.borders[:2]:
            outline = np.round(points[np.append(loop, loop[0])]).astype(int)
            cv2.polylines(lashes, [outline], isClosed=True, color=1.0, thickness=4)
        return cls(
            brows=_soft(brows, 3.0),
            lips=_soft(lips, 3.0),
            lashes=_soft(lashes, 1.5),
            beard=_beard(basis, unwrapping, lips),
            details=details,
        )


@dataclass(frozen=True, slots=True)
class Skin:
    """One person's colors, all linear RGB albedo.

    base: (SIDE, SIDE, 3) unwrapped. offsets: (3, 2) where in the tiles this skin begins, mm. fine: strength
    of the (pores, mottle, freckles) of the tiles. gloss: strength of the specular reflection. hair, iris,
    cloth: (3,).
    """

    base: Map
    offsets: Array
    fine: Array
    gloss: float
    hair: Array
    iris: Array
    cloth: Array


def sample_skin(plan: SkinPlan, rng: np.random.Generator, *, hairline: Map) -> Skin:
    """A skin of its own. hairline: (SIDE, SIDE), mm, positive where hair grows."""
    darkness = float(rng.beta(1.1, 1.5))
    tone = _along(TONES, darkness) * np.exp(rng.normal(0, (0.05, 0.06, 0.09)))
    darkest = 1 - min(1.0, 1.6 * darkness)
    hair = _along(HAIR_COLORS, float(rng.beta(1.0, 1.6)) * darkest if rng.random() > 0.07 else 1.0)
    log = np.broadcast_to(np.log(tone).astype(np.float32), (SIDE, SIDE, 3)).copy()
    # Blood and melanin are unevenly spread: redder and darker patches of centimetres.
    redness = 0.045 * cloudy(28.0, rng) + 0.035 * cloudy(9.0, rng)
    shade = 0.05 * cloudy(22.0, rng) + 0.035 * cloudy(5.0, rng)
    log += shade[..., None] + redness[..., None] * np.array([0.25, -0.8, -0.7], np.float32)
    log += _details(plan.details, rng)
    log += _moles(rng)[..., None] * np.array([-0.7, -1.0, -1.1], np.float32)
    lip = np.exp(rng.normal(0, 0.2)) * np.array([-0.12, -0.62, -0.42]) * (1 - 0.4 * darkness)
    log += plan.lips[..., None] * lip.astype(np.float32)
    if rng.random() < 0.4:
        strength = rng.uniform(0.08, 0.4) if rng.random() < 0.7 else rng.uniform(0.5, 0.85)
        thick = np.clip(plan.beard * (1 + 0.25 * cloudy(7.0, rng)), 0, 1)
        hairs = np.clip(0.8 + 0.22 * cloudy(0.5, rng), 0, 1.3)
        log = _covered(log, np.clip(strength * thick * hairs, 0, 0.95), hair * 1.6 + 0.01)
    brows = _warped(plan.brows, _warp(rng, 1.8, 14.0, lift=rng.normal(0, 1.5)))
    strands = np.clip(0.95 + 0.2 * cloudy(0.45, rng), 0, 1.3)
    log = _covered(log, np.clip(brows * strands * rng.uniform(0.35, 0.95), 0, 0.95), hair * 1.5 + 0.01)
    log = _covered(log, plan.lashes * rng.uniform(0.35, 0.8), np.array([0.02, 0.014, 0.012]))
    root = np.clip((hairline + 1.5 + 1.5 * cloudy(0.8, rng)) / 9.0, 0, 1).astype(np.float32)
    log = _covered(log, root, hair * 1.3)
    iris = _along(
        np.array([[0.03, 0.014, 0.007], [0.10, 0.055, 0.02], [0.12, 0.14, 0.07], [0.13, 0.2, 0.3]]),
        float(rng.beta(0.8, 1.2)) * darkest,
    )
    return Skin(
        base=np.exp(np.clip(log, -5, -0.05)).astype(np.float32),
        offsets=rng.uniform(0, TILE_SIDE * TILE_MM, (3, 2)),
        fine=np.array([rng.uniform(0.02, 0.05), rng.uniform(0.02, 0.055), _freckled(rng, darkness)]),
        gloss=float(rng.uniform(0.3, 1.3)),
        hair=hair,
        iris=iris,
        cloth=np.asarray(np.exp(rng.uniform(-3.5, -0.4)) * np.exp(rng.normal(0, 0.35, 3))),
    )


def fine_tiles(rng: np.random.Generator) -> Map:
    """(TILE_SIDE, TILE_SIDE, 3) periodic: pores (0.8 to 2 mm), mottle (2 to 6 mm), both of unit variance, and
    freckles (0 to 1, spots of 1 to 3 mm).
    """
    pores = _band(rng, 0.8, 2.0)
    mottle = _band(rng, 2.0, 6.0)
    spots = np.clip((_band(rng, 1.8, 5.0) - 1.3) / 0.8, 0, 1)
    return np.stack([pores, mottle, spots], axis=2).astype(np.float32)


def cloudy(extent_mm: float, rng: np.random.Generator) -> Map:
    """(SIDE, SIDE) smooth Gaussian noise of unit variance over the unwrapped skin."""
    step = max(1, int(extent_mm / PIXEL_MM / 3))
    coarse = -(-SIDE // step) + 4
    sigma = max(extent_mm / PIXEL_MM / step / 1.5, 0.5)
    noise = _soft(rng.standard_normal((coarse, coarse), dtype=np.float32), sigma)
    noise = noise / max(float(noise.std()), 1e-6)
    return np.asarray(
        cv2.resize(noise, (coarse * step, coarse * step), interpolation=cv2.INTER_LINEAR)[:SIDE, :SIDE]
    )


def _soft(image: Map, sigma_px: float) -> Map:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), dtype=np.float32)


def _details(details: Sequence[Map], rng: np.random.Generator) -> Map:
    """A mixture of the portraits' details, each moved about, perhaps mirrored."""
    shares = rng.dirichlet(np.full(len(details), 0.8))
    out = np.zeros((SIDE, SIDE, 3), np.float32)
    for share, detail in zip(shares, details, strict=True):
        turned = detail[:, ::-1] if rng.random() < 0.5 else detail
        gain = rng.uniform(0.35, 0.75)
        out += np.float32(share**0.7 * gain) * _warped(
            np.ascontiguousarray(turned), _warp(rng, WARP_MM, 18.0)
        )
    return out


def _warp(rng: np.random.Generator, sd_mm: float, extent_mm: float, *, lift: float = 0.0) -> tuple[Map, Map]:
    row, column = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    across, down = (sd_mm / PIXEL_MM * cloudy(extent_mm, rng) for _ in range(2))
    return (column + across).astype(np.float32), (row + down + np.float32(lift / PIXEL_MM)).astype(np.float32)


def _warped(image: Map, warp: tuple[Map, Map]) -> Map:
    return np.asarray(cv2.remap(image, *warp, cv2.INTER_LINEAR))


def _covered(log: Map, amount: Map, color: Array) -> Map:
    """Hairs of ``color`` over the skin, mixed in the logarithm: 0 skin, 1 hair."""
    return log + amount[..., None].astype(np.float32) * (np.log(color).astype(np.float32) - log)


def _moles(rng: np.random.Generator) -> Map:
    out = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(rng.poisson(9.0)):
        center = rng.integers((SIDE // 5, SIDE // 6), (4 * SIDE // 5, 3 * SIDE // 4))
        radius = float(np.clip(rng.gamma(2.0, 0.3), 0.4, 1.3)) / PIXEL_MM
        axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.7, 1.0))))
        cv2.ellipse(
            out, tuple(int(c) for c in center), axes, rng.uniform(0, 180), 0, 360, rng.uniform(0.15, 0.7), -1
        )
    return _soft(out, 1.2)


def _freckled(rng: np.random.Generator, darkness: float) -> float:
    return (
        float(rng.uniform(0.1, 0.35))
        if rng.random() < 0.25 and darkness < 0.5
        else float(rng.uniform(0, 0.06))
    )


def _band(rng: np.random.Generator, shortest: float, longest: float) -> Array:
    """Periodic Gaussian noise with wavelengths between two lengths in mm, unit variance."""
    frequency = np.fft.fftfreq(TILE_SIDE, TILE_MM)
    radius = np.hypot(frequency[:, None], np.fft.rfftfreq(TILE_SIDE, TILE_MM)[None])
    wave = 1 / np.maximum(radius, 1e-9)
    spectrum = np.fft.rfft2(rng.standard_normal((TILE_SIDE, TILE_SIDE)))
    noise = np.fft.irfft2(spectrum * ((wave > shortest) & (wave < longest)), s=(TILE_SIDE, TILE_SIDE))
    return np.asarray(noise / noise.std())


def _along(colors: Array, share: float) -> Array:
    """Geometric interpolation along a row of colors, 0 the first, 1 the last."""
    at = share * (len(colors) - 1)
    low = min(int(at), len(colors) - 2)
    return np.asarray(np.exp((1 - at + low) * np.log(colors[low]) + (at - low) * np.log(colors[low + 1])))


def _between(points: Map, count: int) -> Map:
    """``count`` points evenly along a polyline."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count)
    return np.stack([np.interp(at, length, points[:, k]) for k in range(2)], axis=1).astype(np.float32)


def _tapered(image: Map, line: Map, width: float) -> None:
    """A stroke that is thick in its middle."""
    for share, (x, y) in zip(np.linspace(0, 1, len(line)), line, strict=True):
        radius = width * (0.35 + 0.65 * np.sin(np.pi * np.clip(share, 0.08, 0.92)))
        cv2.circle(image, (round(float(x)), round(float(y))), max(1, round(radius)), 1.0, -1)


def _beard(basis: DenseBasis, unwrapping: Unwrapping, lips: Map) -> Map:
    """Jaw, chin and upper lip: below the nose, and further back than that lower than the ears."""
    nose = basis.mean[basis.ibug68[33], 1]
    height = row_heights()[:, None]
    column = np.abs(np.linspace(-1, 1, SIDE))[None]
    top = (
        nose
        - 4.0
        + np.clip((column - 0.22) / 0.25, 0, 1) * 32.0
        - np.exp(-(((column - 0.2) / 0.05) ** 2)) * 10
    )
    grown = np.clip((top - height) / 7.0, 0, 1) * np.clip((height + 105.0) / 18.0, 0, 1)
    grown = grown * np.clip((0.66 - column) / 0.08, 0, 1) * unwrapping.mask
    free = 1 - cv2.GaussianBlur(cv2.dilate(lips, np.ones((9, 9), np.uint8)), (0, 0), 4.0)
    return (grown * free).astype(np.float32)

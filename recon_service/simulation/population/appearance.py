"""What the points of a figure look like: albedo of each part, lit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.simulation.population.anatomy import Part
from recon_service.simulation.population.light import Lighting
from recon_service.simulation.population.skin import TILE_MM, Skin

Floats = NDArray[np.float32]

WRAP: Final = np.array([0.22, 0.13, 0.09], np.float32)
"""Light seeps around the form under the skin, red the farthest."""
SKIN_SHINE: Final = (0.035, 24.0)
"""Strength and exponent of the skin's highlight (normalized Blinn-Phong), where gloss is 1."""
EYE_SHINE: Final = (0.6, 400.0)
HAIR_SHINE: Final = (0.02, 12.0)
IRIS: Final = 0.50
"""Angle of the iris' border from the axis of the eye, radians."""
WHITE: Final = np.array([0.42, 0.37, 0.34], np.float32)
INSIDE: Final = np.array([0.10, 0.028, 0.025], np.float32)


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """N points of a figure, float32 but for ``part``.

    part: (N,) int8. rest: (N, 3) the same skin on the mean head, mm. rest_normal: (N, 3). unwrapped: (N, 2).
    normal, view: (N, 3) unit vectors, camera frame, away from the surface and toward the camera. sky: (N,).
    lamps: (N, L), how much of each lamp arrives. eye_axis: (N,) angle from the gaze, for the eyes.
    """

    part: NDArray[np.int8]
    rest: Floats
    rest_normal: Floats
    unwrapped: Floats
    normal: Floats
    view: Floats
    sky: Floats
    lamps: Floats
    eye_axis: Floats


def radiance(points: SurfacePoints, skin: Skin, tiles: Floats, lighting: Lighting) -> Floats:
    """Linear RGB (N, 3) toward the camera."""
    albedo, grain = _albedo(points, skin, tiles)
    strength, exponent = _shine(points, skin, grain)
    facing = np.einsum("nc,nc->n", points.normal, points.view)
    normal = points.normal * np.where(facing < 0, -1, 1).astype(np.float32)[:, None]
    facing = np.abs(facing)
    wrap = np.where((points.part == Part.SKIN)[:, None], WRAP, np.float32(0.05))
    # What is hidden from the sky still gets light from the skin around it.
    open_sky = 0.12 + 0.88 * points.sky
    slope = (1 + normal @ lighting.slope.astype(np.float32)) * open_sky
    light = lighting.ambient.astype(np.float32) * slope[:, None]
    fresnel = 0.3 + 0.7 * (1 - facing) ** 4
    shine = 0.35 * open_sky * fresnel * strength / (1 + exponent / 60)
    highlight = shine[:, None] * lighting.ambient.astype(np.float32)
    for number, lamp in enumerate(lighting.lamps):
        toward = lamp.direction.astype(np.float32)
        seen = points.lamps[:, number]
        cosine = (normal @ toward)[:, None]
        diffuse = np.maximum((cosine + wrap) / (1 + wrap), 0) * seen[:, None]
        light = light + diffuse * lamp.color.astype(np.float32)
        half = unit_rows(points.view + toward)
        lobe = np.maximum(np.einsum("nc,nc->n", normal, half), 0) ** exponent * (exponent + 8) / 25
        amount = strength * fresnel * lobe * seen * (cosine[:, 0] > 0)
        highlight = highlight + amount[:, None] * lamp.color.astype(np.float32)
    return np.asarray(albedo * light + highlight, dtype=np.float32)


def _albedo(points: SurfacePoints, skin: Skin, tiles: Floats) -> tuple[Floats, Floats]:
    """Albedo (N, 3) and the fine grain of the skin (N, 3)."""
    albedo = np.empty((len(points.part), 3), np.float32)
    grain = _fine(points, skin, tiles)
    of = points.part == Part.SKIN
    strength = grain[of] @ skin.fine.astype(np.float32)[:, None] * np.array([0.85, 1.0, 1.1], np.float32)
    freckles = grain[of, 2:] * np.float32(skin.fine[2]) * np.array([2.0, 3.4, 4.0], np.float32)
    base = sampled(skin.base, points.unwrapped[of])
    albedo[of] = base * np.exp(np.clip(strength - freckles, -1.2, 0.4))
    albedo[points.part == Part.MOUTH] = INSIDE
    of = (points.part == Part.RIGHT_EYE) | (points.part == Part.LEFT_EYE)
    albedo[of] = _eye(points.eye_axis[of], grain[of, 0], skin)
    of = points.part == Part.HAIR
    albedo[of] = skin.hair.astype(np.float32) * np.exp(0.35 * grain[of, :1] + 0.25 * grain[of, 1:2])
    of = points.part == Part.CLOTH
    albedo[of] = skin.cloth.astype(np.float32) * np.exp(0.06 * grain[of, :1])
    return albedo, grain


def _eye(axis: Floats, grain: Floats, skin: Skin) -> Floats:
    pupil = np.float32(0.19)
    iris = skin.iris.astype(np.float32) * (1 + 0.25 * grain[:, None])
    ring = np.clip((axis - IRIS + 0.1) / 0.1, 0, 1)[:, None]
    iris = iris * (1 - 0.6 * ring)
    white = np.broadcast_to(WHITE, iris.shape)
    outside = np.clip((axis - IRIS) / 0.05 + 0.5, 0, 1)[:, None]
    inside = np.clip((axis - pupil) / 0.04 + 0.5, 0, 1)[:, None]
    return np.asarray(inside * (outside * white + (1 - outside) * iris) + (1 - inside) * 0.004)


def _shine(points: SurfacePoints, skin: Skin, grain: Floats) -> tuple[Floats, Floats]:
    table = np.zeros((len(Part), 2), np.float32)
    table[Part.SKIN] = SKIN_SHINE[0] * skin.gloss, SKIN_SHINE[1]
    table[Part.RIGHT_EYE] = table[Part.LEFT_EYE] = EYE_SHINE
    table[Part.HAIR] = HAIR_SHINE
    table[Part.MOUTH] = 0.02, 30.0
    table[Part.CLOTH] = 0.0, 10.0
    strength, exponent = table[points.part].T
    # Sweat and grease are as uneven as the skin.
    return strength * np.exp(0.35 * np.clip(grain[:, 1], -2, 2)), exponent


def _fine(points: SurfacePoints, skin: Skin, tiles: Floats) -> Floats:
    """The tiles laid on from three sides of the mean head and mixed by where the skin there looks; fainter
    where it is seen at a grazing angle, whose pixels average over more of it.
    """
    weight = points.rest_normal**2
    weight = weight**2
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-6)
    out = np.zeros((len(points.part), 3), np.float32)
    norm = np.sqrt((weight**2).sum(axis=1, keepdims=True))
    for side, (a, b) in enumerate(((2, 1), (0, 2), (0, 1))):
        at = (points.rest[:, (a, b)] + skin.offsets[side].astype(np.float32)) / np.float32(TILE_MM)
        out += weight[:, side : side + 1] * sampled(tiles, at % tiles.shape[0], wrap=True)
    facing = np.abs(np.einsum("nc,nc->n", points.normal, points.view))
    fading = np.clip(facing / 0.5, 0.15, 1.0)[:, None] * np.array([1, 0, 0], np.float32)
    # Mixing independent noises lessens their variance: divided out, so that no seam shows.
    return out / norm * (fading + np.clip(facing / 0.25, 0.2, 1.0)[:, None] * np.array([0, 1, 1], np.float32))


def sampled(image: Floats, at: Floats, *, wrap: bool = False) -> Floats:
    """``image`` (H, W, C) at N positions (column, row), bilinearly: (N, C)."""
    columns = 2048
    rows = -(-len(at) // columns)
    padded = np.zeros((rows * columns, 2), np.float32)
    padded[: len(at)] = at
    grid = padded.reshape(rows, columns, 2)
    border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REPLICATE
    out = cv2.remap(image, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(out.reshape(rows * columns, -1)[: len(at)])


def unit_rows(vectors: Array | Floats) -> Floats:
    """Rows divided by their length."""
    single = np.asarray(vectors, dtype=np.float32)
    length = np.sqrt(np.einsum("nc,nc->n", single, single))
    return np.asarray(single / np.maximum(length, 1e-6)[:, None])

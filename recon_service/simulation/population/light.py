"""Light of a place: a sky or room around, and up to three lamps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.mesh import Mesh

SKY_RAYS: Final = 24
LAMP_RAYS: Final = 6
BEHIND: Final = -0.3
"""Below this cosine of direction and normal a lamp is behind the surface."""
LIFT_MM: Final = 0.4
"""Rays start this far above the surface, lest they meet their own triangle."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """A distant lamp. direction: (3,) unit vector toward it, camera frame. color: (3,) linear RGB. breadth:
    angle in radians over which it spreads, which makes the edges of its shadows soft.
    """

    direction: Array
    color: Array
    breadth: float


@dataclass(frozen=True, slots=True)
class Lighting:
    """ambient: (3,) linear RGB from all around. slope: (3,) camera frame, to where there is more of it."""

    ambient: Array
    slope: Array
    lamps: tuple[Lamp, ...]

    def moved(self, rng: np.random.Generator, *, degrees: float) -> Lighting:
        """The same place from where the phone is now: every lamp turned a little."""
        lamps = [
            replace(lamp, direction=_unit(lamp.direction + np.deg2rad(degrees) * rng.standard_normal(3)))
            for lamp in self.lamps
        ]
        return replace(self, lamps=tuple(lamps))


def sample_lighting(rng: np.random.Generator) -> Lighting:
    """One to three lamps before and above the face, the first the strongest, of warm to cool white."""
    warmth = rng.normal(0, 0.12)
    lamps = []
    for number in range(int(rng.integers(1, 4))):
        azimuth = rng.uniform(-75, 75) if number == 0 else rng.uniform(-110, 110)
        elevation = rng.uniform(-5, 60)
        strength = rng.uniform(0.5, 1.1) if number == 0 else rng.uniform(0.1, 0.4)
        tint = np.exp((warmth + rng.normal(0, 0.06)) * np.array([1.0, 0.0, -1.2]))
        a, e = np.deg2rad([azimuth, elevation])
        direction = np.array([np.sin(a) * np.cos(e), -np.sin(e), -np.cos(a) * np.cos(e)])
        lamps.append(Lamp(direction, strength * tint, float(rng.uniform(0.08, 0.35))))
    tint = np.exp(rng.normal(0, 0.06) * np.array([1.0, 0.0, -1.0]))
    slope = np.array([rng.normal(0, 0.2), -rng.uniform(0.1, 0.4), rng.normal(-0.1, 0.15)])
    return Lighting(rng.uniform(0.3, 0.75) * tint, slope, tuple(lamps))


class Occluder:
    """Answers which directions are free, seen from the vertices of a mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, np.ascontiguousarray(mesh.vertices[mesh.triangles], dtype=np.float32))
        self.normals = mesh.vertex_normals()
        self._starts = (mesh.vertices + LIFT_MM * self.normals).astype(np.float32)

    def free(self, directions: Array) -> NDArray[np.bool_]:
        """(V, K): whether nothing lies in the K unit directions (K, 3) from each vertex. What lies behind the
        surface itself is not free; its rays are not cast.
        """
        out = self.normals @ directions.T > BEHIND
        vertex, ray = np.nonzero(out)
        hit = self._scene.run(self._starts[vertex], directions.astype(np.float32)[ray], query="OCCLUDED")
        out[vertex, ray] = np.asarray(hit) < 0
        return np.asarray(out)

    def sky(self) -> NDArray[np.float32]:
        """(V,) share of the light from all around that arrives, weighted by the cosine."""
        k = np.arange(2 * SKY_RAYS) + 0.5
        z = 1 - k / SKY_RAYS
        phi = np.pi * (1 + 5**0.5) * k
        r = np.sqrt(1 - z**2)
        directions = np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=1)
        cosine = np.maximum(self.normals @ directions.T, 0.0)
        lit = (cosine * self.free(directions)).sum(axis=1)
        return np.asarray(lit / np.maximum(cosine.sum(axis=1), 1e-6), dtype=np.float32)

    def lamp(self, lamp: Lamp, rng: np.random.Generator) -> NDArray[np.float32]:
        """(V,) share of a lamp that is seen."""
        spread = lamp.direction + 0.5 * lamp.breadth * rng.standard_normal((LAMP_RAYS, 3))
        return self.free(spread / np.linalg.norm(spread, axis=1, keepdims=True)).mean(
            axis=1, dtype=np.float32
        )


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))

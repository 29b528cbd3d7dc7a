"""Artefacts that show a person's picture to a depth camera: sheets of paper, flat, bent, crumpled, folded or
with holes for eyes, and screens. The picture is that of the person; the depth is the artefact's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.simulation.depth_sensor import TrueDepth, true_depth
from recon_service.simulation.sensors import DepthSensor

SHEET_MM = (220.0, 300.0)
CELLS = (55, 75)
EYE_HOLE_MM = 16.0
"""Radius of a hole cut for an eye."""

Shape = Callable[[Array, Array, np.random.Generator], tuple[Array, Array, Array]]
"""Flat sheet coordinates x, y (mm) to points x, y, z: z toward the camera."""


@dataclass(frozen=True, slots=True)
class Species:
    """One kind of artefact. shape: of its sheet. eyes: cut out. returns: share of pixels with a depth."""

    name: str
    shape: Shape
    eyes: bool = False
    returns: float = 1.0


def _flat(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    return x, y, np.zeros_like(x)


def _bent_once(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Rolled onto a cylinder of 70 to 250 mm radius, upright, lying or oblique; one in seven hollow."""
    radius = rng.uniform(70.0, 250.0)
    turn = float(rng.choice([0.0, np.pi / 2, rng.uniform(0.0, np.pi)]))
    across, along = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    angle = across / radius
    across, z = radius * np.sin(angle), -radius * (1 - np.cos(angle))
    hollow = -1.0 if rng.random() < 1 / 7 else 1.0
    return (
        np.cos(turn) * across - np.sin(turn) * along,
        np.sin(turn) * across + np.cos(turn) * along,
        hollow * z,
    )


def _bent_twice(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """As paper that was wetted and formed: radii of 90 to 250 mm along both axes."""
    across, down = rng.uniform(90.0, 250.0, 2)
    return x, y, -(x**2 / (2 * across) + y**2 / (2 * down))


def _wavy(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    turn = rng.uniform(0.0, np.pi)
    place = np.cos(turn) * x + np.sin(turn) * y
    length, phase = rng.uniform(70.0, 160.0), rng.uniform(0.0, 2 * np.pi)
    return x, y, rng.uniform(3.0, 8.0) * np.sin(2 * np.pi * place / length + phase)


def _crumpled(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    noise = cv2.GaussianBlur(rng.standard_normal(x.shape), (0, 0), rng.uniform(6.0, 10.0))
    return x, y, np.asarray(noise / noise.std() * rng.uniform(1.5, 4.0), dtype=np.float64)


def _folded(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Along the nose, each half 10 to 40 degrees back."""
    slope = np.radians(rng.uniform(10.0, 40.0))
    return x * np.cos(slope), y, -np.abs(x) * np.sin(slope)


SPECIES: Mapping[str, Species] = {
    species.name: species
    for species in (
        Species("flat-print", _flat),
        Species("print-bent-once", _bent_once),
        Species("print-bent-twice", _bent_twice),
        Species("wavy-print", _wavy),
        Species("crumpled-print", _crumpled),
        Species("folded-print", _folded),
        Species("flat-print-without-eyes", _flat, eyes=True),
        Species("bent-print-without-eyes", _bent_once, eyes=True),
        Species("screen", _flat),
        Species("screen-without-return", _flat, returns=0.15),
    )
}
TILT_DEG = 10.0
BEHIND_MM = (5.0, 40.0)
"""How far behind a hole the attacker's own eye is."""


def simulate_print(
    species: Species,
    shown: DepthFrame,
    center: Array,
    eyes: Array,
    sensor: DepthSensor,
    rng: np.random.Generator,
) -> DepthFrame:
    """The frame that ``sensor`` gives of the artefact held where ``shown`` had a face: its picture is kept,
    the depth is the artefact's.

    center: (3,) mm, camera frame, of the face. eyes: (2, 2) pixels.
    """
    camera = shown.camera
    truth = _truth(species, camera, center, eyes, rng)
    depth = sensor.measure(truth, camera, rng)
    if species.returns < 1.0:
        depth = np.where(rng.random(depth.shape) < species.returns, depth, 0.0)
    return DepthFrame(depth, camera, shown.camera_name, shown.image)


def _truth(
    species: Species, camera: PinholeCamera, center: Array, eyes: Array, rng: np.random.Generator
) -> TrueDepth:
    across, down = (
        np.linspace(-size / 2, size / 2, cells + 1) for size, cells in zip(SHEET_MM, CELLS, strict=True)
    )
    x, y = np.meshgrid(across, down)
    # The sheet's y is up and its z toward the camera: the head frame, so that a pose puts it there.
    points = np.stack([axis.ravel() for axis in species.shape(x, y, rng)], axis=1)
    yaw, pitch, roll = rng.normal(0.0, TILT_DEG, 3)
    pose = HeadPose.from_angles(yaw=float(yaw), pitch=float(pitch), roll=float(roll), translation=center)
    truth = true_depth(Mesh(points, _triangles(*x.shape)), camera, pose)
    if not species.eyes:
        return truth
    holes = np.zeros(truth.depth.shape, np.uint8)
    radius = round(EYE_HOLE_MM * camera.fx / float(center[2]))
    for eye in np.rint(eyes).astype(int):
        cv2.circle(holes, (int(eye[0]), int(eye[1])), radius, 1, -1)
    open_ = (holes > 0) & truth.head
    return TrueDepth(truth.depth + np.where(open_, rng.uniform(*BEHIND_MM), 0.0), truth.cosine, truth.head)


def _triangles(rows: int, columns: int) -> np.ndarray:
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (
        part.ravel() for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:])
    )
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])

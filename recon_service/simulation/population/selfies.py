"""Selfies of one person: a guided session with one phone in one place."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image as PillowImage

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.light import sample_lighting
from recon_service.simulation.population.person import Person
from recon_service.simulation.population.phone import (
    DISTANCE_MM,
    FACE_FRONT_MM,
    Degradation,
    Phone,
    developed,
    jpeg,
    sample_backdrop,
    sample_phone,
)
from recon_service.simulation.population.photographer import Scene, photographed

GUIDED: Final = (
    (0.0, 0.0),
    (-30.0, 0.0),
    (30.0, 0.0),
    (-15.0, 10.0),
    (15.0, -10.0),
    (15.0, 10.0),
    (-15.0, -10.0),
    (-42.0, 0.0),
    (42.0, 0.0),
    (0.0, 14.0),
    (0.0, -14.0),
    (-22.0, 0.0),
    (22.0, 0.0),
    (-8.0, 0.0),
    (8.0, 0.0),
)
"""(yaw, pitch) in degrees that a subject is asked for, in this order: the first n make n selfies."""
POSE_SD: Final = (3.0, 3.0, 3.0)
"""How far people miss the yaw, pitch and roll asked for, degrees."""
LAMP_MOVES: Final = 7.0
"""Degrees by which the light turns between selfies, because phone and body do."""
BACKDROP_PX: Final = 80
"""How far the surroundings shift between selfies at most."""
QUALITY: Final = (85, 93)


@dataclass(frozen=True, slots=True)
class Photograph:
    """A selfie and the truth about it.

    content: the JPEG file. image: its pixels and stated focal length. camera: true intrinsics. pose: head to
    camera. expression: (56,) coefficients of the dense model's expressions.
    """

    content: bytes
    image: Image
    camera: PinholeCamera
    pose: HeadPose
    expression: Array


def guided(count: int, yaws: Sequence[float] | None) -> tuple[tuple[float, float], ...]:
    """(yaw, pitch) of each selfie. Raises InvalidValue for a number that is not foreseen."""
    if yaws is not None:
        return tuple((float(yaw), 0.0) for yaw in yaws)
    if not 1 <= count <= len(GUIDED):
        raise InvalidValue(f"{count} guided selfies were asked for; there are 1 to {len(GUIDED)}")
    return GUIDED[:count]


def photograph(
    person: Person, number: int, angles: tuple[float, float], kept: Kept, *, degraded: bool
) -> Photograph:
    """The selfie ``number`` of the person's session, at about these angles."""
    spec = person.spec
    phone = sample_phone(spec.random("session", person.index))
    rng = spec.random("selfie", person.index, number)
    camera = phone.camera(spec.width, spec.height)
    pose = _pose(angles, rng)
    expression = person.expression("selfie", number, 1)
    degradation = Degradation.sample(spec.random("degraded", person.index)) if degraded else None
    seen = _halved(camera) if degraded else camera
    name = f"selfie-{number:02d}{angles[0]:+.1f}{angles[1]:+.1f}{'-degraded' if degraded else ''}.jpg"
    content = kept.content(name, lambda: _taken(person, number, phone, pose, expression, degradation))
    pixels = np.asarray(PillowImage.open(io.BytesIO(content)).convert("RGB"))
    return Photograph(content, Image(pixels, focal_35mm=phone.stated_35mm), seen, pose, expression)


def _pose(angles: tuple[float, float], rng: np.random.Generator) -> HeadPose:
    """A head held near the middle of the picture, at arm's length or nearer."""
    yaw, pitch, roll = np.array([*angles, 0.0]) + np.array(POSE_SD) * rng.standard_normal(3)
    distance = float(rng.uniform(*DISTANCE_MM)) + FACE_FRONT_MM
    # The face turns about the neck; what is aimed at is the middle between brows and mouth.
    turned = HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=roll, translation=np.zeros(3))
    middle = turned.apply(np.array([[0.0, 5.0, FACE_FRONT_MM]]))[0]
    aim = np.array([0.0, 0.0, distance - FACE_FRONT_MM])
    aim[:2] = rng.normal(0.0, (0.03, 0.03)) * distance
    return HeadPose(turned.rotation, aim - middle)


def _taken(
    person: Person,
    number: int,
    phone: Phone,
    pose: HeadPose,
    expression: Array,
    degradation: Degradation | None,
) -> bytes:
    spec = person.spec
    place = spec.random("session", person.index, 1)
    lighting = sample_lighting(place)
    rng = spec.random("selfie", person.index, number, 2)
    scene = Scene(
        figure=person.figure(expression),
        sky=person.sky,
        pose=pose,
        camera=phone.camera(spec.width, spec.height),
        lighting=lighting.moved(rng, degrees=LAMP_MOVES),
        skin=person.skin,
        tiles=person.resources.tiles,
    )
    # The phone moves: another part of the same surroundings.
    surroundings = sample_backdrop(spec.width + BACKDROP_PX, spec.height + BACKDROP_PX, place)
    down, right = rng.integers(0, BACKDROP_PX + 1, 2)
    backdrop = surroundings[down : down + spec.height, right : right + spec.width]
    linear, face = photographed(scene, person.resources.basis, backdrop, rng)
    quality = int(rng.integers(*QUALITY)) if degradation is None else degradation.quality
    pixels = developed(linear, face, phone, rng, degradation=degradation)
    return jpeg(pixels, quality=quality, focal_35mm=phone.stated_35mm)


def _halved(camera: PinholeCamera) -> PinholeCamera:
    """The camera of the picture at half its resolution."""
    return PinholeCamera(
        camera.width // 2,
        camera.height // 2,
        camera.fx / 2,
        camera.fy / 2,
        (camera.cx + 0.5) / 2 - 0.5,
        (camera.cy + 0.5) / 2 - 0.5,
    )

"""What a depth camera sees of a figure, and how somebody stands before it."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy.stats import norm

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.geometry import raycast
from recon_service.simulation.capture import KIOSK_CAMERA, KIOSK_DISTANCE_MM
from recon_service.simulation.depth_sensor import TrueDepth
from recon_service.simulation.population.anatomy import Figure, Part
from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.light import sample_lighting
from recon_service.simulation.population.person import Person
from recon_service.simulation.population.phone import (
    FACE_FRONT_MM,
    developed,
    jpeg,
    sample_backdrop,
    sample_phone,
)
from recon_service.simulation.population.photographer import Scene, photographed
from recon_service.simulation.sensors import DepthSensor, TimeOfFlight, correlated

STEPS_PER_MM: Final = 10
"""Depth is kept in tenths of a millimetre, as cameras write it or finer."""
MARGIN: Final = 0.12
"""The frame shows this much around the head, in parts of its size."""
HAIR_LOST: Final = 0.35
"""Share of hair that gives no depth: dark, shiny and finer than a pixel."""
HAIR_PATCH_PX: Final = 1.5


@dataclass(frozen=True, slots=True)
class Station:
    """Where a depth camera stands. distance_mm: to the face. wall_mm: from the face to what is behind."""

    camera: PinholeCamera
    distance_mm: float
    wall_mm: tuple[float, float] = (500.0, 1500.0)


KIOSK: Final = Station(KIOSK_CAMERA, KIOSK_DISTANCE_MM)
ACROSS_THE_ROOM: Final = Station(
    PinholeCamera(width=512, height=424, fx=365.5, fy=365.5, cx=255.5, cy=211.5), 900.0
)
"""A camera of a meter's reach, in which faces are 60 to 70 pixels wide."""


def station_of(sensor: DepthSensor) -> Station:
    """Stereo and structured light stand at the kiosk, time of flight a meter away."""
    return ACROSS_THE_ROOM if isinstance(sensor, TimeOfFlight) else KIOSK


@dataclass(frozen=True, slots=True)
class VisitFrame:
    """A frame of a visit and the truth about it. pose: head to camera. expression: (56,) coefficients of the
    dense model's expressions.
    """

    frame: DepthFrame
    pose: HeadPose
    expression: Array


@dataclass(frozen=True, slots=True)
class Visit:
    """One person before one sensor. number: of the visit."""

    person: Person
    sensor: DepthSensor
    number: int

    def frame(self, number: int, kept: Kept, *, images: bool) -> VisitFrame:
        """The frame ``number``, whatever other frames are asked for."""
        held, change = self._expression(-1), self._expression(number)
        expression = 0.7 * held + 0.3 * change
        station = station_of(self.sensor)
        pose = _pose(station, self._random(-1, 0), self._random(number, 0))
        head = self.person.shape.vertices(self.person.resources.basis, expression)
        camera = around_head(station.camera, pose.apply(head))
        stem = f"visit-{self._sort:08x}-{self.number:02d}-{number:02d}"
        figure = lru_cache(maxsize=1)(lambda: self.person.figure(expression))
        depth = kept.content(f"{stem}.png", lambda: self._depth(figure(), camera, pose, number))
        image = None
        if images:
            seen = kept.content(f"{stem}.jpg", lambda: self._picture(figure(), camera, pose, number))
            image = Image(np.asarray(PillowImage.open(io.BytesIO(seen)).convert("RGB")))
        frame = DepthFrame.from_array(
            np.asarray(PillowImage.open(io.BytesIO(depth))),
            camera=camera,
            millimetres_per_unit=1 / STEPS_PER_MM,
            camera_name=self.sensor.name,
            image=image,
        )
        return VisitFrame(frame, pose, expression)

    def _depth(self, figure: Figure, camera: PinholeCamera, pose: HeadPose, number: int) -> bytes:
        place = self._random(-1, 1)
        station = station_of(self.sensor)
        wall = float(pose.translation[2] + place.uniform(*station.wall_mm))
        scale = float(getattr(self.sensor, "scale_sd", 0.0) * place.standard_normal())
        rng = self._random(number, 1)
        raw = measured(figure, camera, pose, self.sensor, wall=wall, scale=scale, rng=rng)
        buffer = io.BytesIO()
        PillowImage.fromarray(raw).save(buffer, "PNG", compress_level=3)
        return buffer.getvalue()

    def _picture(self, figure: Figure, camera: PinholeCamera, pose: HeadPose, number: int) -> bytes:
        place, rng = self._random(-1, 2), self._random(number, 2)
        scene = Scene(
            figure=figure,
            sky=self.person.sky,
            pose=pose,
            camera=camera,
            lighting=sample_lighting(place),
            skin=self.person.skin,
            tiles=self.person.resources.tiles,
        )
        backdrop = sample_backdrop(camera.width, camera.height, place)
        linear, face = photographed(scene, self.person.resources.basis, backdrop, rng)
        pixels = developed(linear, face, sample_phone(place), rng)
        return jpeg(pixels, quality=90, focal_35mm=None)

    def _expression(self, frame: int) -> Array:
        return self.person.expression("visit", self._sort, self.number, frame + 1)

    def _random(self, frame: int, use: int) -> np.random.Generator:
        """Streams of one frame, or (-1) of the visit."""
        return self.person.spec.random("frame", self.person.index, self._sort, self.number, frame + 1, use)

    @property
    def _sort(self) -> int:
        """A number that tells differently set sensors apart."""
        return zlib.crc32(repr(self.sensor).encode())


def _pose(station: Station, visit: np.random.Generator, frame: np.random.Generator) -> HeadPose:
    """How somebody stands: within some degrees and centimetres of facing the camera during a visit, moving by
    a few degrees and millimetres between frames, as over a second or two.
    """
    angles = visit.normal(0.0, (6.0, 5.0, 3.0)) + frame.normal(0.0, (2.5, 2.0, 1.0))
    place = visit.normal(0.0, (15.0, 15.0, 25.0)) + frame.normal(0.0, (4.0, 4.0, 6.0))
    translation = np.array([0.0, 0.0, station.distance_mm + FACE_FRONT_MM]) + place
    return HeadPose.from_angles(
        yaw=float(angles[0]), pitch=float(angles[1]), roll=float(angles[2]), translation=translation
    )


def around_head(camera: PinholeCamera, head: Array) -> PinholeCamera:
    """The camera of that part of its image which shows ``head`` (N, 3), camera frame, with a margin."""
    pixels = camera.project(head)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    margin = MARGIN * (high - low)
    left, top = np.maximum(np.floor(low - margin).astype(int), 0)
    right, bottom = np.minimum(np.ceil(high + margin).astype(int) + 1, (camera.width, camera.height))
    return camera.cropped(
        left=int(left), top=int(top), width=int(max(right - left, 16)), height=int(max(bottom - top, 16))
    )


def measured(
    figure: Figure,
    camera: PinholeCamera,
    pose: HeadPose,
    sensor: DepthSensor,
    *,
    wall: float,
    scale: float,
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """(H, W) tenths of a millimetre, 0 where nothing was measured. wall: z of the wall in mm. scale: relative
    error of this camera's scale, the same in every frame of a visit.
    """
    posed = Mesh(pose.apply(figure.mesh.vertices), figure.mesh.triangles)
    hits = raycast(posed, camera)
    row, column = np.mgrid[0 : camera.height, 0 : camera.width]
    rays = camera.rays(np.stack([column.ravel(), row.ravel()], axis=1).astype(np.float64))
    across = (1 / np.linalg.norm(rays, axis=1)).reshape(hits.depth.shape)
    part = np.where(hits.mask, figure.part[hits.triangle], Part.SKIN)
    truth = TrueDepth(
        np.where(hits.mask, hits.depth, wall),
        np.where(hits.mask, hits.cosine, across),
        hits.mask & (part != Part.CLOTH),
    )
    depth = without_scale_error(sensor).measure(truth, camera, rng) * (1 + scale)
    unlucky = correlated(depth.shape, HAIR_PATCH_PX, rng) < norm.ppf(HAIR_LOST)
    depth[(part == Part.HAIR) & unlucky] = 0.0
    return np.round(np.clip(depth * STEPS_PER_MM, 0, 65535)).astype(np.uint16)


def without_scale_error(sensor: DepthSensor) -> DepthSensor:
    """The same sensor with its scale error set to zero: a visit draws one for all of its frames."""
    if not hasattr(sensor, "scale_sd"):
        return sensor
    anything: Any = sensor
    changed: DepthSensor = replace(anything, scale_sd=0.0)
    return changed

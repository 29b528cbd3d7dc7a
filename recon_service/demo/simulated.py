"""SIMULATED people: heads drawn from the canonical model, painted with a portrait, seen by a simulated stereo
camera.

A simulated head has no selfie, so selfies of it are rendered: real detector and landmark network on unreal
pictures. All heads wear the same two faces' textures, so that only the shape can tell them apart.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PillowImage

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.demo.person import Person
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import FitFailed
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.simulation import (
    KIOSK_CAMERA,
    PortraitTexture,
    SampledHead,
    Stereo,
    render_selfie,
    sample_head,
    simulate_capture,
)
from recon_service.simulation.capture import visit_pose
from recon_service.simulation.heads import sample_expression

PHONE = PinholeCamera(width=720, height=960, fx=900.0, fy=900.0, cx=359.5, cy=479.5)
PHONE_DISTANCE_MM = 480.0
SELFIE_YAWS = (-25.0, 0.0, 25.0)
FRAMES_PER_VISIT = 3
DISPLACEMENT_MM = 0.5


def texture_of(portrait: bytes, pipeline: FacePipeline) -> PortraitTexture:
    """The appearance of a portrait, located by a fit of it. Raises FitFailed if it is not accepted."""
    result = enroll([portrait], pipeline)
    image = result.selfies[0].image
    if result.fit is None or image is None:
        raise FitFailed("a portrait of the demo was not accepted")
    return PortraitTexture.from_fit(image, result.fit, pipeline.model)


def simulated_person(
    name: str, texture: PortraitTexture, pipeline: FacePipeline, rng: np.random.Generator
) -> Person:
    """Draw a head, take its selfies and let it visit the kiosk twice."""
    head = sample_head(pipeline.model, rng, displacement_mm=DISPLACEMENT_MM)
    selfies = tuple(jpeg(_selfie(head, texture, yaw, rng)) for yaw in SELFIE_YAWS)
    return Person(name, selfies, (_visit(head, rng), _visit(head, rng)))


def jpeg(image: Image, *, quality: int = 92) -> bytes:
    """JPEG bytes with the focal length in EXIF, as a phone writes them."""
    exif = PillowImage.Exif()
    if image.focal_35mm is not None:
        exif.get_ifd(0x8769)[0xA405] = round(image.focal_35mm)  # Exif.Photo.FocalLengthIn35mmFilm
    buffer = io.BytesIO()
    PillowImage.fromarray(image.pixels).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def _selfie(head: SampledHead, texture: PortraitTexture, yaw: float, rng: np.random.Generator) -> Image:
    pose = HeadPose.from_angles(
        yaw=yaw + float(rng.normal(0.0, 3.0)),
        pitch=float(rng.normal(0.0, 4.0)),
        roll=float(rng.normal(0.0, 3.0)),
        translation=np.array([0.0, 0.0, PHONE_DISTANCE_MM]),
    )
    return render_selfie(head.mesh(sample_expression(head.model, rng)), PHONE, pose, texture)


def _visit(head: SampledHead, rng: np.random.Generator) -> tuple[DepthFrame, ...]:
    surface = head.surface(sample_expression(head.model, rng))
    return tuple(
        simulate_capture(surface, KIOSK_CAMERA, visit_pose(rng), Stereo(), rng)
        for _ in range(FRAMES_PER_VISIT)
    )

"""A depth capture of a head whose shape is known."""

from __future__ import annotations

import numpy as np

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.simulation.depth_sensor import true_depth
from recon_service.simulation.sensors import DepthSensor
from recon_service.simulation.texture import PortraitTexture, render_selfie

KIOSK_CAMERA = PinholeCamera(width=640, height=480, fx=600.0, fy=600.0, cx=319.5, cy=239.5)
"""A depth stream as kiosks have it; a face at half a metre is about 180 pixels wide."""
KIOSK_DISTANCE_MM = 500.0


def simulate_capture(
    head: Mesh,
    camera: PinholeCamera,
    pose: HeadPose,
    sensor: DepthSensor,
    rng: np.random.Generator,
    *,
    wall_mm: float | None = None,
    texture: PortraitTexture | None = None,
) -> DepthFrame:
    """One frame of ``sensor``: a head (head frame, millimetres) at ``pose`` before ``camera``, the same for
    the same ``rng``.

    wall_mm: depth of a wall behind the head, None for no return. texture: paints an aligned color image, for
    heads whose vertices are the texture's; None gives a frame without an image.
    """
    truth = true_depth(head, camera, pose, wall_mm=wall_mm)
    depth = sensor.measure(truth, camera, rng)
    image = render_selfie(head, camera, pose, texture) if texture is not None else None
    return DepthFrame(depth, camera, sensor.name, image)


def visit_pose(rng: np.random.Generator, *, distance_mm: float = KIOSK_DISTANCE_MM) -> HeadPose:
    """How somebody stands before a kiosk: within a few degrees of frontal, some centimetres off the axis."""
    yaw, pitch, roll = rng.normal(0.0, (6.0, 5.0, 3.0))
    offset = rng.normal(0.0, (15.0, 15.0, 25.0))
    return HeadPose.from_angles(
        yaw=float(yaw),
        pitch=float(pitch),
        roll=float(roll),
        translation=np.array([0.0, 0.0, distance_mm + 90.0]) + offset,
    )

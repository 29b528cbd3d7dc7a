"""Pictures of a registration: the two surfaces, and how far they are apart."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.mesh import Mesh
from recon_service.registration import RegistrationReport
from recon_service.registration.closest import ClosestPoints
from recon_service.rendering.views import png, three_views

FAR_MM = 2.0
SIDE, DISTANCE = 420, 1500.0


def registration_png(report: RegistrationReport) -> bytes:
    """The other model's mean face above the canonical one bent onto it; below, on the latter, the distance
    between them from 0 (dark) to 2 mm and more (yellow).
    """
    rows = [_image(three_views(mesh)) for mesh in (report.target, report.deformed)]
    height = rows[0].shape[0]
    width = min(row.shape[1] for row in rows)
    stack = np.concatenate([row[:height, :width] for row in rows])
    return png(np.concatenate([stack, _distances(report, width)]))


def _distances(report: RegistrationReport, width: int) -> NDArray[np.uint8]:
    """A strip (SIDE, width, 3): vertices seen from the front and the two sides, by their distance."""
    apart = ClosestPoints(report.target).of(report.deformed.vertices).distance
    heat = cv2.applyColorMap(
        np.round(255 * np.clip(apart / FAR_MM, 0, 1)).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO
    )
    reach = np.asarray(heat[:, 0, ::-1], dtype=np.uint8)
    strip = np.full((SIDE, width, 3), 24, dtype=np.uint8)
    for place, turn in enumerate((0.0, 45.0, 90.0)):
        _splat(strip, report.deformed, reach, turn, (place + 0.5) * width / 3)
    return strip


def _splat(strip: NDArray[np.uint8], mesh: Mesh, colors: NDArray[np.uint8], turn: float, at: float) -> None:
    angle = -np.deg2rad(turn)
    x, y, z = mesh.vertices.T
    across, near = x * np.cos(angle) - z * np.sin(angle), z * np.cos(angle) + x * np.sin(angle)
    normals = mesh.vertex_normals()
    facing = normals[:, 2] * np.cos(angle) + normals[:, 0] * np.sin(angle) > 0
    zoom = 0.9 * SIDE / np.ptp(y)
    middle = (across.min() + across.max()) / 2
    for vertex in np.argsort(near):
        if facing[vertex]:
            center = (round(at + zoom * (across[vertex] - middle)), round(zoom * (y.max() - y[vertex]) + 20))
            cv2.circle(strip, center, 3, [int(c) for c in colors[vertex]], -1, cv2.LINE_AA)


def _image(content: bytes) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[..., ::-1], dtype=np.uint8)

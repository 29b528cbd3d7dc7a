"""One picture with the face from the front, in three-quarter view and in profile, at one scale."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.rendering.shading import COARSE_CLAY, Clay, shade, sky_visibility
from recon_service.rendering.subdivision import FINE_TRIANGLES, fine_enough

VIEWS = (("front", 0.0), ("three-quarter", 40.0), ("profile", 88.0))
"""Label and yaw in degrees (toward the subject's left)."""
DISTANCE_MM = 1500.0
"""A portrait lens: near enough to look natural, far enough to keep the scale over the depth of a face."""
PANEL_FILL = 0.82
"""Share of the panel that the face takes at most, either way."""
TOP, BOTTOM = np.array([58, 62, 70]), np.array([24, 26, 30])
LABEL = (196, 200, 208)


def three_views(mesh: Mesh, *, height: int = 560, title: str = "") -> bytes:
    """PNG bytes of three views of ``mesh`` (head frame, millimetres) side by side, with a 50-mm scale bar.

    title: written in the top left corner.
    """
    clay = COARSE_CLAY if len(mesh.triangles) < FINE_TRIANGLES else Clay()
    mesh = fine_enough(mesh)
    sky = sky_visibility(mesh)
    center = (mesh.vertices.max(axis=0) + mesh.vertices.min(axis=0)) / 2
    extent = float(np.ptp(mesh.vertices[:, 1]))
    breadth = float(2 * np.linalg.norm((mesh.vertices - center)[:, [0, 2]], axis=1).max())  # in any view
    width = round(0.84 * height)
    focal = PANEL_FILL * DISTANCE_MM * min(height / extent, width / breadth)
    camera = PinholeCamera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
    backdrop = vertical_gradient(width, height)
    panels = []
    for label, yaw in VIEWS:
        pose = HeadPose.from_angles(yaw=yaw, pitch=0.0, roll=0.0, translation=np.zeros(3))
        posed = Mesh(pose.apply(mesh.vertices - center) + np.array([0.0, 0.0, DISTANCE_MM]), mesh.triangles)
        panels.append(_labeled(over(backdrop, shade(posed, camera, sky=sky, clay=clay)), label))
    sheet = PillowImage.fromarray(np.concatenate(panels, axis=1))
    draw = ImageDraw.Draw(sheet)
    bar = 50.0 * focal / DISTANCE_MM
    x, y = 3 * width - 24, 30
    draw.line([(x - bar, y), (x, y)], fill=LABEL, width=2)
    for end in (x - bar, x):
        draw.line([(end, y - 4), (end, y + 4)], fill=LABEL, width=2)
    draw.text((x - bar / 2, y + 8), "50 mm", fill=LABEL, font=ImageFont.load_default(15), anchor="mt")
    if title:
        draw.text((20, 18), title, fill=LABEL, font=ImageFont.load_default(17))
    return png(np.asarray(sheet))


def over(
    background: NDArray[np.uint8], rgba: NDArray[np.uint8], *, opacity: float = 1.0
) -> NDArray[np.uint8]:
    """``rgba`` (H, W, 4), straight alpha, laid over ``background`` (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.float64) / 255 * opacity
    return np.asarray(np.round(background * (1 - alpha) + rgba[..., :3] * alpha), dtype=np.uint8)


def vertical_gradient(width: int, height: int) -> NDArray[np.uint8]:
    """A dark studio backdrop (H, W, 3), lighter at the top."""
    ramp = np.linspace(0.0, 1.0, height)[:, None, None]
    return np.asarray(
        np.round(np.broadcast_to(TOP * (1 - ramp) + BOTTOM * ramp, (height, width, 3))), dtype=np.uint8
    )


def png(pixels: NDArray[np.uint8]) -> bytes:
    """PNG bytes of (H, W, 3) or (H, W, 4) uint8."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _labeled(panel: NDArray[np.uint8], label: str) -> NDArray[np.uint8]:
    picture = PillowImage.fromarray(panel)
    where = (panel.shape[1] / 2, panel.shape[0] - 20)
    ImageDraw.Draw(picture).text(where, label, fill=LABEL, font=ImageFont.load_default(18), anchor="ms")
    return np.asarray(picture)

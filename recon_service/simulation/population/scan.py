"""A scan of a face with a color texture, as one more portrait: seen from the front, in even light."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image as PillowImage

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import FRONTAL
from recon_service.geometry import raycast

SIDE: Final = 900
DISTANCE: Final = 3.0
"""From the camera to the middle of the scan, in heights of the scan."""
OBJ: Final = "*.obj"
COLORS: Final = "color.jpg"


def scan_portrait(folder: Path) -> bytes:
    """JPEG bytes of the one OBJ file in ``folder`` (y up, facing z, one texture coordinate per vertex) with
    the colors of ``color.jpg``. Raises InvalidValue for a folder that holds no such scan.
    """
    files = sorted(folder.glob(OBJ))
    if len(files) != 1 or not (folder / COLORS).is_file():
        raise InvalidValue(
            "the texture folder does not hold one scan",
            next_step=f"It needs one {OBJ} and {COLORS}.",
        )
    mesh, coordinates = _read(files[0])
    colors = np.asarray(PillowImage.open(folder / COLORS).convert("RGB"))
    height = float(np.ptp(mesh.vertices[:, 1]))
    center = (mesh.vertices.max(axis=0) + mesh.vertices.min(axis=0)) / 2
    posed = (mesh.vertices - center) @ FRONTAL.T + np.array([0.0, 0.0, DISTANCE * height])
    focal = 0.9 * SIDE * DISTANCE
    camera = PinholeCamera(SIDE, SIDE, focal, focal, (SIDE - 1) / 2, (SIDE - 1) / 2)
    hits = raycast(Mesh(posed, mesh.triangles), camera)
    at = hits.interpolated(coordinates, mesh.triangles).astype(np.float32)
    size = np.array([colors.shape[1] - 1, colors.shape[0] - 1], np.float32)
    where = np.stack([at[..., 0], 1 - at[..., 1]], axis=2) * size
    seen = cv2.remap(colors, where[..., 0], where[..., 1], cv2.INTER_LINEAR).astype(np.float32)
    # Even light would leave the detector without a nose: a little shading helps it, and is taken out again.
    shaded = np.where(hits.mask[..., None], seen * (0.55 + 0.45 * hits.cosine[..., None]), 120.0)
    buffer = io.BytesIO()
    PillowImage.fromarray(np.round(shaded).astype(np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _read(path: Path) -> tuple[Mesh, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Vertices and triangles of an OBJ file, and texture coordinates (V, 2) of its vertices."""
    vertices, coordinates, corners = [], [], []
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif word == "vt":
            coordinates.append([float(x) for x in rest[:2]])
        elif word == "f":
            corners.append([[int(n) for n in corner.split("/")[:2]] for corner in rest[:3]])
    faces = np.array(corners, dtype=np.int64) - 1
    of_vertex = np.zeros((len(vertices), 2))
    of_vertex[faces[..., 0].ravel()] = np.array(coordinates)[faces[..., -1].ravel()]
    return Mesh(np.array(vertices), faces[..., 0]), of_vertex

"""A reconstructed face over its picture, and as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.domain.similarity import best_similarity
from recon_service.rendering.overlay import overlay_png

FOCAL_PX = 8e3
"""So long a lens sees almost without perspective, as these models do."""


def reconstruction_png(image: Image, face: ReconstructedFace, *, height: int = 480) -> bytes:
    """PNG bytes: the picture's face beside the same with the posed mesh over it."""
    pixels_per_mm = best_similarity(face.neutral.vertices, face.posed).scale
    center = np.array([(image.width - 1) / 2, (image.height - 1) / 2])
    depth = (FOCAL_PX + face.posed[:, 2]) / pixels_per_mm
    across = (face.posed[:, :2] - center) * (depth / FOCAL_PX)[:, None]
    camera = PinholeCamera(image.width, image.height, FOCAL_PX, FOCAL_PX, float(center[0]), float(center[1]))
    return overlay_png(image, Mesh(np.column_stack([across, depth]), face.triangles), camera, height=height)


def face_numbers(face: ReconstructedFace) -> dict[str, Any]:
    """Plain values for JSON. pose: the original's convention; head: the service's (``HeadPose``), degrees."""
    yaw, pitch, roll = face.pose
    head_yaw, head_pitch, head_roll = face.angles
    return {
        "box": list(face.box),
        "score": face.score,
        "region_of_interest": list(face.region),
        "raw": face.raw.tolist(),
        "parameters": {name: np.asarray(value).tolist() for name, value in face.parameters.items()},
        "pose": {"yaw": yaw, "pitch": pitch, "roll": roll},
        "head": {"yaw": head_yaw, "pitch": head_pitch, "roll": head_roll},
        "landmarks": face.landmarks.tolist(),
    }

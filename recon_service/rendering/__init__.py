"""Pictures and files of meshes: ray casting, clay shading, overlays on selfies, three views, GLB, PLY and
OBJ.
"""

from __future__ import annotations

from recon_service.geometry.raycast import SurfaceHits, raycast
from recon_service.rendering.export import MESH_FORMATS, mesh_bytes
from recon_service.rendering.overlay import face_focus, overlay_png
from recon_service.rendering.views import three_views

__all__ = ["MESH_FORMATS", "SurfaceHits", "face_focus", "mesh_bytes", "overlay_png", "raycast", "three_views"]

"""Is there a face before the camera, or a picture of one?"""

from __future__ import annotations

from recon_service.presentation_attack.assess import assess
from recon_service.presentation_attack.surface import FaceSurface, face_surface

__all__ = ["FaceSurface", "assess", "face_surface"]

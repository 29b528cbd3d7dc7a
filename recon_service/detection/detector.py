"""What every face detector does."""

from __future__ import annotations

from typing import Protocol

from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image


class FaceDetector(Protocol):
    """Finds faces. Implementations may be called from several threads at once."""

    @property
    def name(self) -> str:
        """Stable identifier of the detector, kept with what was made from its faces."""
        ...

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        """All faces in ``image``, highest score first; none is an empty tuple, not an error."""
        ...

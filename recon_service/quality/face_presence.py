"""Whether the landmark network saw a face at all where the detector did."""

from __future__ import annotations

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.quality import QualityMeasure
from recon_service.quality.limits import QualityLimits
from recon_service.quality.scale import measure


def face_presence(landmarks: FaceLandmarks | None, *, limits: QualityLimits) -> QualityMeasure:
    """raw: the network's presence, 0 to 1.

    It saturates near 1 and says nothing of quality, so it is all or nothing.
    """
    raw = landmarks.presence if landmarks is not None else 0.0
    score = 100.0 if raw >= limits.min_presence else 0.0
    hint = "Show your whole face; take off whatever covers it."
    return measure("face_presence", raw, "probability", score, hint, code="face-covered")

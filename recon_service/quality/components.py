"""Which measure answers to which quality component of ISO/IEC 29794-5, and whether it may reject a picture.

docs/quality.md says of each what is measured here, and which components are not measured at all.
"""

from __future__ import annotations

from typing import Final

COMPONENTS: Final = {
    "face_count": "single face present",
    "face_in_frame": "face occlusion prevention: by the border of the picture alone",
    "face_size": "inter-eye distance",
    "sharpness": "sharpness",
    "exposure": "luminance mean",
    "yaw": "head pose: yaw",
    "pitch": "head pose: pitch",
    "roll": "head pose: roll",
    "luminance_variance": "luminance variance",
    "dynamic_range": "dynamic range",
    "under_exposure": "under-exposure prevention",
    "over_exposure": "over-exposure prevention",
    "illumination_uniformity": "illumination uniformity",
    "natural_color": "natural colour",
    "eyes_open": "eyes open",
    "eyes_glare": "eyes visible: against glare alone",
    "mouth_closed": "mouth closed",
    "expression_neutrality": "expression neutrality",
    "leftward_crop": "leftward crop of the face image",
    "rightward_crop": "rightward crop of the face image",
    "margin_above": "margin above the face image",
    "margin_below": "margin below the face image",
}
"""By measure; the others (``face_presence``) have no counterpart in the standard."""

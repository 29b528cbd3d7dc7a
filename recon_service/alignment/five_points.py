"""Alignment by five points: the similarity onto the template that face recognition networks are trained on.

The points are, in this order: right eye, left eye, tip of the nose, right and left corner of the mouth.
Right is the subject's right, which is on the left of the picture.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from recon_service.alignment.sampling import sampled
from recon_service.alignment.similarity import similarity
from recon_service.domain.arrays import Array, shaped
from recon_service.domain.images import Image

TEMPLATE_SIZE: Final = 112
TEMPLATE: Final[Array] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where the five points lie in a picture of 112 × 112 pixels (the template of ArcFace)."""
TEMPLATE.flags.writeable = False


def five_point_similarity(five_points: Array, *, size: int = TEMPLATE_SIZE) -> Array:
    """(2, 3) map from pixels of the image to pixels of the aligned picture.

    five_points: (5, 2) float, pixels. Raises InvalidValue for points that are not finite or all in one place.
    """
    shaped(five_points, "five points", 5, 2)
    return similarity(np.asarray(five_points, dtype=np.float64), TEMPLATE * (size / TEMPLATE_SIZE))


def align(image: Image, five_points: Array, size: int = TEMPLATE_SIZE) -> Image:
    """The face in a picture of ``size`` × ``size`` pixels, its five points as near to the template as a
    similarity brings them; black beyond the image.
    """
    return Image(pixels=sampled(image.pixels, five_point_similarity(five_points, size=size), size))

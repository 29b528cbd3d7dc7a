"""Where things are among the 468 landmarks of FaceMesh; the subject's right before the left."""

from __future__ import annotations

from typing import Final

# fmt: off
OUTLINE: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on
"""Around the face, in order."""
EYES: Final = ((33, 133), (263, 362))
"""Outer and inner corner of each eye."""
MOUTH_CORNERS: Final = (61, 291)
NOSE_TIP: Final = (1, 4, 5)
"""On the ridge of the nose at and above its tip."""
CHEEKS_AND_FOREHEAD: Final = (50, 280, 108, 337)
"""Skin far from the eyes: a hole cut for an eye does not reach it."""

"""What the rows of an array of landmarks mean. Right and left are the subject's: the right eye is on the
left of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from recon_service.domain.arrays import Array, shaped
from recon_service.domain.errors import InvalidValue

RIGHT_EYE: Final = "right eye"
LEFT_EYE: Final = "left eye"
NOSE: Final = "tip of the nose"
RIGHT_MOUTH: Final = "right corner of the mouth"
LEFT_MOUTH: Final = "left corner of the mouth"
MOUTH: Final = "center of the mouth"
FIVE: Final = (RIGHT_EYE, LEFT_EYE, NOSE, RIGHT_MOUTH, LEFT_MOUTH)


@dataclass(frozen=True, slots=True)
class LandmarkScheme:
    """How many landmarks there are, and which rows each named place of the face is the mean of."""

    name: str
    count: int
    places: MappingProxyType[str, tuple[int, ...]]

    def place(self, points: Array, place: str) -> Array | None:
        """(2,) where that place is among ``points`` (count, 2); None where the scheme has no such place."""
        shaped(points, "landmarks", self.count, 2)
        rows = self.places.get(place)
        return None if rows is None else np.asarray(points[list(rows)].mean(axis=0))

    def five_points(self, points: Array) -> Array | None:
        """(5, 2) in the order of ``FIVE``; None where the scheme lacks one of them."""
        found = [self.place(points, place) for place in FIVE]
        present = [each for each in found if each is not None]
        return np.stack(present) if len(present) == len(FIVE) else None


def _scheme(name: str, count: int, *rows: tuple[int, ...], mouth: tuple[int, ...] = ()) -> LandmarkScheme:
    places = dict(zip(FIVE, rows, strict=False))
    if mouth:
        places[MOUTH] = mouth
    return LandmarkScheme(name, count, MappingProxyType(places))


SCHEMES: Final = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            _scheme("none", 0),
            # Eyes, nose, center of the mouth, ears: MediaPipe's detector.
            _scheme("mediapipe6", 6, (0,), (1,), (2,), mouth=(3,)),
            _scheme("five", 5, (0,), (1,), (2,), (3,), (4,), mouth=(3, 4)),
            # The 68 of iBUG (Sagonas et al., 300 Faces in-the-Wild, ICCV workshops 2013).
            _scheme(
                "ibug68",
                68,
                (36, 37, 38, 39, 40, 41),
                (42, 43, 44, 45, 46, 47),
                (30,),
                (48,),
                (54,),
                mouth=(48, 54),
            ),
            # The 106 of LaPa (Liu et al., A new dataset and boundary-attention semantic segmentation for face
            # parsing, AAAI 2020).
            _scheme(
                "lapa106",
                106,
                tuple(range(66, 74)),
                tuple(range(75, 83)),
                (54,),
                (84,),
                (90,),
                mouth=(84, 90),
            ),
            # Of each eye the two corners.
            _scheme("facemesh468", 468, (33, 133), (263, 362), (1,), (61,), (291,), mouth=(61, 291)),
        )
    }
)
"""By name."""


def scheme_named(name: str) -> LandmarkScheme:
    """Raises InvalidValue for a name that is none."""
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise InvalidValue(
            f"unknown landmark scheme {name!r}", next_step=f"The schemes are {', '.join(SCHEMES)}."
        )
    return scheme

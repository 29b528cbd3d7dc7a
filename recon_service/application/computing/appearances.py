"""Pictures with landmarks -> the appearance of the person on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recon_service.appearance.aligned_face import FACEMESH, aligned_face
from recon_service.appearance.embedder import FaceEmbedder
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image


def appearance_of(
    pictures: Sequence[tuple[Image, FaceLandmarks]], embedder: FaceEmbedder | None
) -> Appearance | None:
    """The appearance on pictures of one person; None without an embedder or without pictures.

    Of pictures in different light those that are more are used: their vectors must not be averaged.
    """
    usable = [(image, marks) for image, marks in pictures if marks.scheme == FACEMESH]
    if embedder is None or not usable:
        return None
    lights = [light_of(image) for image, _ in usable]
    light = Counter(lights).most_common(1)[0][0]
    faces = [aligned_face(*pair) for pair, own in zip(usable, lights, strict=True) if own is light]
    return Appearance.of(embedder.embed(faces), embedder=embedder.name, version=embedder.version, light=light)


def joined(parts: Sequence[Appearance | None]) -> Appearance | None:
    """The appearance on pictures that were looked at one by one; in different light, of those that are
    more.
    """
    known = [part for part in parts if part is not None]
    lights = Counter(part.light for part in known)
    return Appearance.joined([part for part in known if part.light is lights.most_common(1)[0][0]])


def light_of(image: Image) -> Light:
    """Infrared where the three channels are equal."""
    red, green, blue = (image.pixels[..., channel] for channel in range(3))
    gray = _same(red, green) and _same(green, blue)
    return Light.INFRARED if gray else Light.VISIBLE


def _same(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    # Pictures in color differ nearly everywhere: a few pixels tell.
    return np.array_equal(one[::16, ::16], other[::16, ::16]) and np.array_equal(one, other)

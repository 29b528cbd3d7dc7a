"""The pictures that the tests share: two portraits that ship in packages, changed in known ways, and files of
every kind.

Also the two networks of the default set of weights (``recon weights pull --set default``), loaded once per
process.
"""

from __future__ import annotations

import functools
import io
import struct
from typing import Any

import cv2
import matplotlib.cbook
import numpy as np
import pillow_heif
import skimage.data
from numpy.typing import NDArray
from PIL import Image as PillowImage

from recon_service.detection.mediapipe_short_range import MediaPipeShortRange
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.reconstruction.facemesh.landmarker import FaceMeshLandmarker
from recon_service.weights import locate

Pixels = NDArray[np.uint8]
PORTRAITS = ("astronaut", "grace_hopper")


@functools.cache
def portrait(name: str) -> Pixels:
    """(512, 512, 3) of the astronaut or (600, 512, 3) of Grace Hopper; both are in the public domain.
    Read-only.
    """
    if name == "astronaut":
        pixels = np.asarray(skimage.data.astronaut(), dtype=np.uint8)
    else:
        with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
            pixels = np.array(PillowImage.open(file).convert("RGB"))
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels


@functools.cache
def portrait_bytes(name: str) -> bytes:
    """The portrait as a JPEG file, as a phone would upload it."""
    return encoded(portrait(name), "JPEG", quality=95)


@functools.cache
def detector() -> MediaPipeShortRange:
    return MediaPipeShortRange(locate("mediapipe/face_detection_short_range.tflite"))


@functools.cache
def landmarker(passes: int = 2) -> FaceMeshLandmarker:
    return FaceMeshLandmarker(locate("mediapipe/face_landmark.tflite"), passes=passes)


def seen(pixels: Pixels) -> tuple[Image, tuple[DetectedFace, ...], FaceLandmarks | None]:
    """The picture with its faces and the landmarks of the first."""
    image = Image(pixels=pixels)
    faces = detector().detect(image)
    return image, faces, landmarker().landmarks(image, faces[0]) if faces else None


# ---- known changes


def mirrored(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8)


def brightened(pixels: Pixels, gain: float) -> Pixels:
    return np.clip(pixels * gain, 0, 255).astype(np.uint8)


def resized(pixels: Pixels, scale: float) -> Pixels:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=how), dtype=np.uint8)


def rotated(pixels: Pixels, degrees: float) -> Pixels:
    """Counterclockwise on the screen, about the center, same size."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.asarray(
        cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def placed(pixels: Pixels, *, width: int, height: int, left: int, top: int) -> Pixels:
    """The picture on a larger gray one."""
    canvas = np.full((height, width, 3), 120, np.uint8)
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


# ---- files


def encoded(pixels: Pixels | PillowImage.Image, kind: str, **options: Any) -> bytes:
    """A file of ``kind`` (JPEG, PNG, WEBP, HEIF, GIF, TIFF, …) by Pillow or pillow-heif."""
    picture = pixels if isinstance(pixels, PillowImage.Image) else PillowImage.fromarray(pixels)
    buffer = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(buffer, **options)
    else:
        picture.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_block(*, orientation: int | None = None, focal_35mm: int | None = None, order: str = "<") -> bytes:
    """An EXIF block with its prefix, written by hand: a main directory, and an EXIF directory with the focal
    length.
    """
    main = [] if orientation is None else [(0x0112, 3, orientation)]
    extra = [] if focal_35mm is None else [(0xA405, 3, focal_35mm)]
    offset = 8 + 2 + 12 * (len(main) + 1) + 4
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", 8)
    return b"Exif\x00\x00" + head + _directory([*main, (0x8769, 4, offset)], order) + _directory(extra, order)


def _directory(entries: list[tuple[int, int, int]], order: str) -> bytes:
    rows = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + (struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value))
        for tag, kind, value in entries
    )
    return struct.pack(order + "H", len(entries)) + rows + b"\x00\x00\x00\x00"

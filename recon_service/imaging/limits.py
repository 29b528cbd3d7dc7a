"""What is too large, too small or too narrow to be a selfie. Checked before a decoder sees the bytes."""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.domain.errors import InvalidValue
from recon_service.imaging.rejections import BadAspect, EmptyImage, TooManyBytes, TooManyPixels, TooSmall


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The limits; the defaults pass every phone's camera.

    max_bytes: of the file. max_pixels: width times height as the header states them. max_aspect: longer side
    over shorter side. min_side: of the shorter side, pixels. target_side: larger pictures are shrunk so that
    their longer side has at most this many pixels (the landmark network sees 192).
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_aspect: float = 4.0
    min_side: int = 160
    target_side: int = 2048

    def __post_init__(self) -> None:
        counts = (self.max_bytes, self.max_pixels, self.min_side, self.target_side)
        if min(counts) < 1 or self.max_aspect < 1 or self.min_side > self.target_side:
            raise InvalidValue(
                "image limits must be positive, max_aspect at least 1, min_side at most target_side",
                next_step="Check the image limits in the settings.",
            )

    def check_bytes(self, count: int) -> None:
        """Raise EmptyImage or TooManyBytes for a file of ``count`` bytes."""
        if count == 0:
            raise EmptyImage("The file has no bytes.", next_step="Send the picture again.")
        if count > self.max_bytes:
            raise TooManyBytes(
                f"The file has {count:,} bytes, the limit is {self.max_bytes:,}.",
                next_step="Send a smaller picture, or save it as JPEG.",
            )

    def check_size(self, width: int, height: int) -> None:
        """Raise EmptyImage, TooManyPixels, BadAspect or TooSmall for a picture of this size."""
        if width < 1 or height < 1:
            raise EmptyImage(
                f"The picture is {width} x {height} pixels.", next_step="Take the picture again."
            )
        if width * height > self.max_pixels:
            raise TooManyPixels(
                f"The picture is {width} x {height} pixels, the limit is {self.max_pixels:,} in all.",
                next_step="Send a smaller picture.",
            )
        if max(width, height) > self.max_aspect * min(width, height):
            raise BadAspect(
                f"The picture is {width} x {height} pixels, the limit is {self.max_aspect:g} to 1.",
                next_step="Send the whole picture, neither a strip nor a panorama.",
            )
        if min(width, height) < self.min_side:
            raise TooSmall(
                f"The picture is {width} x {height} pixels, each side needs {self.min_side}.",
                next_step="Send the original picture, not a thumbnail.",
            )

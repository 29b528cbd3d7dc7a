"""Why a file is no image that we accept: one error per reason.

The messages speak of the file's form only, never of what it shows.
"""

from __future__ import annotations

from recon_service.domain.errors import ImageRejected

ACCEPTED_FORMATS = "JPEG, PNG, WebP or HEIC"


class EmptyImage(ImageRejected):
    """No bytes, or a picture without pixels."""

    code = "image-empty"
    title = "The image is empty"


class UnknownFormat(ImageRejected):
    """The first bytes belong to no image format that we know, whatever the file is called."""

    code = "image-unknown-format"
    title = "This is not an image"


class UnsupportedFormat(ImageRejected):
    """A known format that is not accepted."""

    code = "image-unsupported-format"
    title = "This image format is not accepted"


class TruncatedImage(ImageRejected):
    """The file ends before the picture does."""

    code = "image-truncated"
    title = "The image file is incomplete"


class CorruptImage(ImageRejected):
    """The bytes break the rules of the format that they claim to be."""

    code = "image-corrupt"
    title = "The image file is damaged"


class AnimatedImage(ImageRejected):
    """Several pictures where one was asked for."""

    code = "image-animated"
    title = "The image is animated"


class UnsupportedColor(ImageRejected):
    """Colors that are not gray or RGB (CMYK: made for print, and not convertible without its profile)."""

    code = "image-color"
    title = "The image's color space is not accepted"


class UnsupportedBitDepth(ImageRejected):
    """More than eight bits per channel in a format whose cameras write eight: no camera's selfie."""

    code = "image-bit-depth"
    title = "The image has too many bits per channel"


class TooManyBytes(ImageRejected):
    """The file is larger than the limit."""

    code = "image-too-many-bytes"
    title = "The image file is too large"


class TooManyPixels(ImageRejected):
    """The picture is larger than the limit."""

    code = "image-too-many-pixels"
    title = "The image has too many pixels"


class TooSmall(ImageRejected):
    """The picture is too small to show a face well."""

    code = "image-too-small"
    title = "The image is too small"


class BadAspect(ImageRejected):
    """The picture is too long and narrow."""

    code = "image-aspect"
    title = "The image is too long and narrow"


def corrupt(what: str) -> CorruptImage:
    """A CorruptImage with the usual next step."""
    return CorruptImage(what, next_step="Take the picture again, or send the original file.")


def truncated(what: str) -> TruncatedImage:
    """A TruncatedImage with the usual next step."""
    return TruncatedImage(what, next_step="Send the file again; the upload may have been interrupted.")


def animated(what: str) -> AnimatedImage:
    """An AnimatedImage with the usual next step."""
    return AnimatedImage(what, next_step="Send a single still picture.")

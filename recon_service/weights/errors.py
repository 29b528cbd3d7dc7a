"""What can be wrong with a model file. Each error names the command that mends it.

::

    WeightsUnavailable (domain)
    ├── UnknownWeights        no such name in the manifest
    ├── WeightsMissing        declared, but neither in the weights folder nor in the mirror
    ├── WeightsAltered        there, but not the bytes that the manifest declares
    ├── WeightsNotAllowed     declared non-commercial, and nobody allowed that
    ├── DownloadFailed        every source failed, each with its reason
    ├── DiskFull              no room for the file
    └── ManifestInvalid       the manifest itself breaks its own rules
"""

from __future__ import annotations

from recon_service.domain.errors import WeightsUnavailable

ALLOW_NONCOMMERCIAL = "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS"


class UnknownWeights(WeightsUnavailable):
    """A name that the manifest does not declare."""

    code = "weights-unknown"
    title = "No such model file"


class WeightsMissing(WeightsUnavailable):
    """A declared file that is in neither the weights folder nor the mirror."""

    code = "weights-missing"
    title = "A model file is missing"


class WeightsAltered(WeightsUnavailable):
    """A file whose bytes are not those that the manifest declares."""

    code = "weights-altered"
    title = "A model file is altered"


class WeightsNotAllowed(WeightsUnavailable):
    """A file for non-commercial use only, refused until somebody takes the decision to allow it."""

    code = "weights-not-allowed"
    title = "A model file is for non-commercial use only"


class DownloadFailed(WeightsUnavailable):
    """No source gave the file."""

    code = "weights-download-failed"
    title = "A model file could not be obtained"


class DiskFull(WeightsUnavailable):
    """The file does not fit on the disk."""

    code = "weights-disk-full"
    title = "No room for a model file"


class ManifestInvalid(WeightsUnavailable):
    """The manifest breaks its own rules."""

    code = "weights-manifest-invalid"
    title = "The manifest of model files is not valid"

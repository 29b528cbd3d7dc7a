"""Why a depth frame gives no evidence."""

from __future__ import annotations

from recon_service.domain.errors import DepthRejected


class TooLittleDepth(DepthRejected):
    """Hardly any trustworthy pixel."""

    code = "too-little-depth"
    title = "The depth map is nearly empty"


class NoFaceInDepth(DepthRejected):
    """Nothing in the depth map has the shape and size of a face."""

    code = "no-face-in-depth"
    title = "No face in the depth map"

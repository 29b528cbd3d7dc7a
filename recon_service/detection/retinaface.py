"""RetinaFace (Deng et al., RetinaFace: single-shot multi-level face localisation in the wild, CVPR 2020) with
the backbone MobileNet 0.25: box and five landmarks.

Input: the picture letterboxed to 640 x 640 (the file's publisher stretches it, which moves the landmarks in
wide and tall pictures), BGR, minus the mean (104, 117, 123). Output at each of 16,800 priors: box and
landmarks relative to the prior, with variances 0.1 and 0.2, and two class probabilities. Priors: at each cell
of the grids of 8, 16 and 32 pixels two squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recon_service.detection.detector import ONNX_RUNTIME, DetectorKind, FaceDetector
from recon_service.detection.letterboxed_network import Candidates, LetterboxedDetector
from recon_service.detection.onnx_session import Floats, NetworkUnusable, OnnxNetwork
from recon_service.domain.arrays import Array
from recon_service.networks.onnx_runtime import Device

SIDE: Final = 640
MEAN_BGR: Final = (104.0, 117.0, 123.0)
SQUARES: Final = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""Cell and sides of its squares, pixels."""
VARIANCES: Final = (0.1, 0.2)


class RetinaFace(LetterboxedDetector):
    """The detector; thread-safe."""

    name = "retinaface"

    def __init__(
        self,
        weights: Path,
        device: Device = Device.AUTO,
        *,
        min_score: float = 0.5,
        max_overlap: float = 0.4,
    ) -> None:
        net = OnnxNetwork(weights, device)
        self._priors = priors()
        wanted = [(len(self._priors), width) for width in (4, 2, 10)]
        if [shape[1:] for shape in net.output_shapes] != wanted:
            raise NetworkUnusable(f"{weights.name} does not have RetinaFace's outputs at {SIDE} pixels.")
        super().__init__(net, side=SIDE, min_score=min_score, max_overlap=max_overlap)

    def _inputs(self, frames: NDArray[np.uint8]) -> Floats:
        return frames[..., ::-1].astype(np.float32) - np.array(MEAN_BGR, np.float32)

    def _candidates(self, outputs: Sequence[Floats]) -> Candidates:
        boxes, scores, landmarks = outputs
        keep = scores[:, 1] >= self._min_score
        priors = self._priors[keep]
        center, size = priors[:, None, :2], priors[:, None, 2:]
        moved = boxes[keep].astype(np.float64).reshape(-1, 2, 2)
        middle = center + VARIANCES[0] * moved[:, :1] * size
        half = 0.5 * size * np.exp(VARIANCES[1] * moved[:, 1:])
        points = center + VARIANCES[0] * landmarks[keep].astype(np.float64).reshape(-1, 5, 2) * size
        corners = np.concatenate([middle - half, middle + half], axis=1)
        return SIDE * corners, scores[keep, 1].astype(np.float64), SIDE * points


def priors() -> Array:
    """(16800, 4): center x, y and size x, y of each prior, 0 to 1 over the input."""
    grids = []
    for cell, sides in SQUARES:
        count = SIDE // cell
        y, x = np.mgrid[0:count, 0:count]
        centers = (np.stack([x, y], axis=-1).reshape(-1, 1, 2) + 0.5) * cell
        sizes = np.broadcast_to(np.array(sides, dtype=np.float64)[:, None], (len(centers), len(sides), 2))
        both = np.concatenate([np.broadcast_to(centers, sizes.shape), sizes], axis=2)
        grids.append(both.reshape(-1, 4) / SIDE)
    return np.concatenate(grids)


def _build(weights: Sequence[Path], device: Device, _base: FaceDetector | None) -> FaceDetector:
    return RetinaFace(weights[0], device)


DETECTOR = DetectorKind(
    name="retinaface",
    title="RetinaFace, MobileNet 0.25",
    scheme="five",
    weights=("retinaface-640",),
    packages=(ONNX_RUNTIME,),
    build=_build,
)

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

from recon_service.detection.detector import ONNX_RUNTIME, DetectorKind, Device, FaceDetector, Faces
from recon_service.detection.letterbox import Fitted, letterboxed
from recon_service.detection.onnx_session import Floats, NetworkUnusable, OnnxNetwork
from recon_service.detection.suppression import faces_of
from recon_service.domain.arrays import Array
from recon_service.domain.images import Image

SIDE: Final = 640
MEAN_BGR: Final = (104.0, 117.0, 123.0)
SQUARES: Final = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""Cell and sides of its squares, pixels."""
VARIANCES: Final = (0.1, 0.2)


class RetinaFace:
    """The detector; thread-safe."""

    name: str = "retinaface"

    def __init__(
        self,
        weights: Path,
        device: Device = Device.AUTO,
        *,
        min_score: float = 0.5,
        max_overlap: float = 0.4,
    ) -> None:
        self._net = OnnxNetwork(weights, device)
        self._priors = priors()
        wanted = [(len(self._priors), width) for width in (4, 2, 10)]
        if [shape[1:] for shape in self._net.output_shapes] != wanted:
            raise NetworkUnusable(f"{weights.name} does not have RetinaFace's outputs at {SIDE} pixels.")
        self._min_score, self._max_overlap = min_score, max_overlap

    @property
    def device(self) -> Device:
        return self._net.device

    def detect(self, image: Image) -> Faces:
        """Faces in ``image``, highest score first, each with its five landmarks."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> tuple[Faces, ...]:
        """The same of each image."""
        if not images:
            return ()
        fitted = [letterboxed(image.pixels, SIDE) for image in images]
        inputs = np.stack([each.pixels[..., ::-1] for each in fitted]).astype(np.float32) - np.array(
            MEAN_BGR, np.float32
        )
        boxes, scores, landmarks = self._net.run(inputs.transpose(0, 3, 1, 2))
        return tuple(
            self._faces(fit, boxes[i], scores[i, :, 1], landmarks[i]) for i, fit in enumerate(fitted)
        )

    def _faces(self, fit: Fitted, boxes: Floats, scores: Floats, landmarks: Floats) -> Faces:
        keep = scores >= self._min_score
        priors = self._priors[keep]
        center, size = priors[:, None, :2], priors[:, None, 2:]
        moved = boxes[keep].astype(np.float64).reshape(-1, 2, 2)
        middle = center + VARIANCES[0] * moved[:, :1] * size
        half = 0.5 * size * np.exp(VARIANCES[1] * moved[:, 1:])
        points = center + VARIANCES[0] * landmarks[keep].astype(np.float64).reshape(-1, 5, 2) * size
        corners = np.concatenate([middle - half, middle + half], axis=1)
        return faces_of(
            fit.to_picture(SIDE * corners).reshape(-1, 4),
            scores[keep].astype(np.float64),
            fit.to_picture(SIDE * points),
            scheme="five",
            max_overlap=self._max_overlap,
        )


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

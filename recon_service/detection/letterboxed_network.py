"""What the detectors share whose network looks at the whole picture in a square frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recon_service.detection.detector import Faces
from recon_service.detection.letterbox import letterboxed
from recon_service.detection.onnx_session import Floats, OnnxNetwork
from recon_service.detection.suppression import faces_of
from recon_service.domain.arrays import Array
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device

Candidates = tuple[Array, Array, Array]
"""Corners (N, 2, 2), scores (N,) and landmarks (N, 5, 2), in pixels of the frame."""


class LetterboxedDetector(ABC):
    """Thread-safe. side: of the frame, pixels. min_score, max_overlap: of the faces that are kept."""

    name: ClassVar[str]

    def __init__(self, net: OnnxNetwork, *, side: int, min_score: float, max_overlap: float) -> None:
        self._net, self._side = net, side
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
        fitted = [letterboxed(image.pixels, self._side) for image in images]
        inputs = self._inputs(np.stack([fit.pixels for fit in fitted]))
        outputs = self._net.run(np.asarray(inputs.transpose(0, 3, 1, 2), np.float32))
        found: list[Faces] = []
        for number, fit in enumerate(fitted):
            corners, scores, points = self._candidates([each[number] for each in outputs])
            found.append(
                faces_of(
                    fit.to_picture(corners).reshape(-1, 4),
                    scores,
                    fit.to_picture(points),
                    scheme="five",
                    max_overlap=self._max_overlap,
                )
            )
        return tuple(found)

    @abstractmethod
    def _inputs(self, frames: NDArray[np.uint8]) -> Floats:
        """What the network takes for frames (B, side, side, 3)."""

    @abstractmethod
    def _candidates(self, outputs: Sequence[Floats]) -> Candidates:
        """What the network's outputs for one picture say, of those above ``min_score``."""


class YoloFace(LetterboxedDetector):
    """Networks with one output per stride. strides: of the outputs, in their order."""

    def __init__(
        self, net: OnnxNetwork, *, side: int, strides: Sequence[int], min_score: float, max_overlap: float
    ) -> None:
        super().__init__(net, side=side, min_score=min_score, max_overlap=max_overlap)
        self._strides = tuple(strides)

    def _inputs(self, frames: NDArray[np.uint8]) -> Floats:
        return np.asarray(frames / np.float32(255), np.float32)

    def _candidates(self, outputs: Sequence[Floats]) -> Candidates:
        parts = [self._decoded(output, stride) for output, stride in zip(outputs, self._strides, strict=True)]
        corners, scores, points = (np.concatenate(each) for each in zip(*parts, strict=True))
        return corners, scores, points

    @abstractmethod
    def _decoded(self, output: Floats, stride: int) -> Candidates:
        """Candidates of one stride."""

"""RTMPose (Jiang et al., RTMPose: real-time multi-person pose estimation, 2023) for faces: 106 landmarks in
a box that another detector found.

Input: the box, enlarged by a quarter, as a picture of the network's size (256 x 256), RGB, minus the mean,
over the deviation of ImageNet. Output: for each landmark one distribution over the columns and one over the
rows, at a multiple of the input's resolution (Li et al., SimCC, ECCV 2022). The landmark is where both are
highest.

The published files (rtmpose-m, face6, ONNX) are the user's to bring:
``recon weights convert rtmpose-face --from FILE --unverified``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.detection.detector import ONNX_RUNTIME, DetectorKind, FaceDetector, Faces
from recon_service.detection.onnx_session import Floats, NetworkUnusable, OnnxNetwork
from recon_service.domain.arrays import Array
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.networks.onnx_runtime import Device

MEAN: Final = (123.675, 116.28, 103.53)
DEVIATION: Final = (58.395, 57.12, 57.375)
ENLARGED: Final = 1.25
LANDMARKS: Final = 106
SCHEME: Final = "lapa106"


class RtmPose:
    """Landmarks on the faces of ``base``; thread-safe. A face's score stays that of ``base``."""

    name: str = "rtmpose"

    def __init__(self, weights: Path, base: FaceDetector, device: Device = Device.AUTO) -> None:
        self._net = OnnxNetwork(weights, device)
        _, channels, height, width = (*self._net.input_shape, None, None, None, None)[:4]
        shapes = self._net.output_shapes
        sound = channels == 3 and isinstance(height, int) and isinstance(width, int) and len(shapes) == 2
        if not sound or any(len(shape) != 3 or shape[1] != LANDMARKS for shape in shapes):
            raise NetworkUnusable(
                f"{weights.name} is no RTMPose network of {LANDMARKS} landmarks.",
                next_step="One input (N, 3, H, W) and two outputs (N, 106, …) are expected.",
            )
        self._base, self._size = base, (int(width or 0), int(height or 0))

    @property
    def device(self) -> Device:
        return self._net.device

    def detect(self, image: Image) -> Faces:
        """Faces in ``image``, highest score first, each with its 106 landmarks."""
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image]) -> tuple[Faces, ...]:
        """The same of each image; all faces go through the network together."""
        found = self._base.detect_batch(images)
        maps = [self._to_input(face) for faces in found for face in faces]
        if not maps:
            return found
        owners = [image for image, faces in zip(images, found, strict=True) for _ in faces]
        crops = np.stack(
            [_sampled(image.pixels, to, self._size) for image, to in zip(owners, maps, strict=True)]
        )
        inputs = (crops - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
        columns, rows = self._net.run(inputs.transpose(0, 3, 1, 2).astype(np.float32))
        points = iter(
            (at - to[:, 2]) @ np.linalg.inv(to[:, :2]).T
            for at, to in zip(decoded(columns, rows, self._size), maps, strict=True)
        )
        return tuple(
            tuple(DetectedFace(face.box, face.score, next(points), SCHEME) for face in faces)
            for faces in found
        )

    def _to_input(self, face: DetectedFace) -> Array:
        """(2, 3) map from pixels of the image to pixels of the network's input."""
        width, height = self._size
        # The box takes the shape of the input by growing, never by cutting.
        step = ENLARGED * max(face.width / width, face.height / height)
        left, top, right, bottom = face.box
        return np.array(
            [
                [1 / step, 0.0, width / 2 - (left + right) / 2 / step],
                [0.0, 1 / step, height / 2 - (top + bottom) / 2 / step],
            ]
        )


def decoded(columns: Floats, rows: Floats, size: tuple[int, int]) -> Array:
    """(N, K, 2) pixels of the input. columns: (N, K, W'), rows: (N, K, H'); size: width and height."""
    x = columns.argmax(axis=2) * (size[0] / columns.shape[2])
    y = rows.argmax(axis=2) * (size[1] / rows.shape[2])
    return np.stack([x, y], axis=2).astype(np.float64)


def _sampled(pixels: NDArray[np.uint8], to_input: Array, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.warpAffine(pixels, to_input, size, flags=cv2.INTER_LINEAR), dtype=np.float32)


def _build(weights: Sequence[Path], device: Device, base: FaceDetector | None) -> FaceDetector:
    if base is None:
        raise ValueError("rtmpose needs a detector that finds the boxes")
    return RtmPose(weights[0], base, device)


DETECTOR = DetectorKind(
    name="rtmpose",
    title="RTMPose face, 106 landmarks on MediaPipe's boxes",
    scheme=SCHEME,
    weights=("rtmpose-face",),
    packages=(ONNX_RUNTIME,),
    base="mediapipe_simple",
    build=_build,
)

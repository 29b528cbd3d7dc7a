"""Any face recognition network in an ONNX file of the ArcFace family: one input of aligned RGB pictures
(N, 3, 112, 112), one output (N, D).

Run by ONNX Runtime where it is installed, else by OpenCV, which knows fewer operators.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.appearance.embedder import SIDE, Aligned, batch, mirror_averaged
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.networks.onnx_runtime import Device, opened

Run = Callable[[NDArray[np.float32]], NDArray[Any]]
"""(1, 3, 112, 112) to (1, D)."""


class OnnxEmbedder:
    """The embedder of an ONNX file. bgr: the network was trained on blue, green, red."""

    def __init__(self, model: Path, *, name: str = "", bgr: bool = False) -> None:
        """Raises InvalidValue for a file that is no such network."""
        try:
            content = model.read_bytes()
            self._run = _by_onnxruntime(content) or _by_opencv(content)
            probe = self._run(np.zeros((1, 3, SIDE, SIDE), np.float32))
        except Exception as fault:  # the engines raise types of their own
            raise InvalidValue(
                f"{model.name} does not run as a face recognition network",
                next_step=f"One input (N, 3, {SIDE}, {SIDE}) and one output (N, D) are expected; "
                "installing onnxruntime may help where an operator is unknown.",
            ) from fault
        if probe.ndim != 2 or len(probe) != 1:
            raise InvalidValue(f"{model.name} gives {probe.shape} for one picture instead of (1, D)")
        self.dimension = int(probe.shape[1])
        self.name = name or model.stem
        self.version = hashlib.sha256(content).hexdigest()[:16]
        self._bgr = bgr

    def embed(self, pictures: Sequence[Aligned]) -> Array:
        pixels = batch(pictures)
        if self._bgr:
            pixels = pixels[..., ::-1]
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        # One by one: many published files have a batch of one written into them.
        return mirror_averaged(np.concatenate([self._run(planes[n : n + 1]) for n in range(len(planes))]))


def _by_onnxruntime(content: bytes) -> Run | None:
    try:
        session, _ = opened(content, Device.CPU, name="a face recognition network")
    except ImportError:
        return None
    (name,) = (given.name for given in session.get_inputs())
    return lambda planes: np.asarray(session.run(None, {name: planes})[0])


def _by_opencv(content: bytes) -> Run:
    net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    lock = threading.Lock()  # OpenCV's networks are not re-entrant

    def run(planes: NDArray[np.float32]) -> NDArray[Any]:
        with lock:
            net.setInput(planes)
            return np.array(net.forward())

    return run

"""The two networks behind one face, so that ONNX Runtime and torch are exchangeable."""

from __future__ import annotations

from typing import Protocol

from recon_service.networks.safetensors import Arrays
from recon_service.reconstruction.session import Floats, OnnxSession, SessionOptions
from third_party.tddfa_v2 import graphs


class Networks(Protocol):
    """pictures (B, 3, H, W) of one size -> offsets (B, P, 4), scores (B, P); crops (B, 3, 120, 120) -> raw
    (B, 62).
    """

    def detect(self, pictures: Floats) -> tuple[Floats, Floats]: ...

    def regress(self, crops: Floats) -> Floats: ...


class OnnxNetworks:
    """Served by ONNX Runtime; the graphs are made here, from the parameters."""

    def __init__(self, detector: Arrays, regressor: Arrays, options: SessionOptions) -> None:
        self._detector = OnnxSession(graphs.detector(detector), options, name="FaceBoxes")
        self._regressor = OnnxSession(graphs.regressor(regressor), options, name="3DDFA-V2")
        self.device = self._regressor.device

    def detect(self, pictures: Floats) -> tuple[Floats, Floats]:
        offsets, scores = self._detector.run(picture=pictures)
        return offsets, scores

    def regress(self, crops: Floats) -> Floats:
        return self._regressor.run(crops=crops)[0]

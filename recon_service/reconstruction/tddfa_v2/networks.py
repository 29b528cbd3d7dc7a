"""The two networks behind one face, so that ONNX Runtime and torch are exchangeable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from recon_service.networks.safetensors import Arrays
from recon_service.reconstruction.backend import GraphOf, ModelFiles
from recon_service.reconstruction.session import Floats, OnnxSession, Session, SessionOptions
from recon_service.reconstruction.tddfa_v2 import model_files
from third_party.tddfa_v2 import graphs


class Networks(Protocol):
    """pictures (B, 3, H, W) of one size -> offsets (B, P, 4), scores (B, P); crops (B, 3, 120, 120) -> raw
    (B, 62).
    """

    def detect(self, pictures: Floats) -> tuple[Floats, Floats]: ...

    def regress(self, crops: Floats) -> Floats: ...


DETECTOR, REGRESSOR = "tddfa_v2/detector", "tddfa_v2/regressor"
"""What the two are called where another process runs them."""


def graphs_of(files: ModelFiles) -> Mapping[str, GraphOf]:
    """Both graphs by name."""
    return {
        DETECTOR: lambda: graphs.detector(model_files.load_network(files, model_files.DETECTOR)),
        REGRESSOR: lambda: graphs.regressor(model_files.load_network(files, model_files.REGRESSOR)),
    }


class OnnxNetworks:
    """Served by ONNX Runtime."""

    def __init__(self, detector: Session, regressor: Session) -> None:
        self._detector, self._regressor = detector, regressor

    @classmethod
    def here(cls, detector: Arrays, regressor: Arrays, options: SessionOptions) -> OnnxNetworks:
        """In this process; the graphs are made of the parameters."""
        return cls(
            OnnxSession(graphs.detector(detector), options, name="FaceBoxes"),
            OnnxSession(graphs.regressor(regressor), options, name="3DDFA-V2"),
        )

    @classmethod
    def elsewhere(cls, networks: Callable[[str], Session]) -> OnnxNetworks:
        """In a process that runs them for several."""
        return cls(networks(DETECTOR), networks(REGRESSOR))

    def detect(self, pictures: Floats) -> tuple[Floats, Floats]:
        offsets, scores = self._detector.run(picture=pictures)
        return offsets, scores

    def regress(self, crops: Floats) -> Floats:
        return self._regressor.run(crops=crops)[0]

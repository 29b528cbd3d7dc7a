"""A model file -> the embedder that runs it."""

from __future__ import annotations

from pathlib import Path

from recon_service.appearance.edgeface import EdgeFace
from recon_service.appearance.embedder import FaceEmbedder
from recon_service.appearance.onnx_embedder import OnnxEmbedder


def load_embedder(model: Path, *, name: str = "") -> FaceEmbedder:
    """``.safetensors``: EdgeFace; ``.onnx``: any network of the ArcFace family. Raises InvalidValue."""
    if model.suffix == ".onnx":
        return OnnxEmbedder(model, name=name)
    return EdgeFace(model, name=name or model.stem)

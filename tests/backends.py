"""Reconstruction backends on small made-up model files of the real formats, converted as a user would."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from recon_service.reconstruction.deca import DecaReconstructor, load_deca
from recon_service.reconstruction.encoders import Engine
from recon_service.reconstruction.faceverse import FaceVerseReconstructor, load_faceverse
from recon_service.weights.convert.faceverse import faceverse_model
from recon_service.weights.convert.files import npz_bytes, safetensors_bytes
from recon_service.weights.convert.flame import flame_model
from tests.heads import flame_arrays, landmark_table
from tests.images import detector, landmarker
from tests.original_files import deca_parameters, faceverse_file, faceverse_parameters, generic_model


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="recon-backends-")


def _file(name: str, content: bytes) -> Path:
    path = Path(_folder().name) / name
    if not path.is_file():
        path.write_bytes(content)
    return path


@functools.cache
def deca(engine: Engine = Engine.ONNX, *, by_landmarks: bool = True) -> DecaReconstructor:
    """DECA with random weights; its 60 leading shape modes are the canonical model's."""
    import numpy as np

    table = landmark_table(flame_arrays(np.random.default_rng(0))["triangles"])
    landmarks = {
        f"{part}_{what}": value
        for part in ("fixed", "contour", "full")
        for what, value in (
            ("faces", getattr(table, part).faces),
            ("weights", getattr(table, part).barycentric),
        )
    }
    return load_deca(
        encoder=_file("deca.safetensors", safetensors_bytes(deca_parameters())),
        flame=_file("flame.npz", npz_bytes(flame_model(generic_model()))),
        landmarks=_file("flame_landmarks.npz", npz_bytes(landmarks)),
        detector=detector(),
        landmarker=landmarker() if by_landmarks else None,
        engine=engine,
    )


@functools.cache
def faceverse(engine: Engine = Engine.ONNX) -> FaceVerseReconstructor:
    """FaceVerse with random weights, likewise."""
    return load_faceverse(
        encoder=_file("faceverse.safetensors", safetensors_bytes(faceverse_parameters())),
        head=_file("faceverse.npz", npz_bytes(faceverse_model(faceverse_file()))),
        detector=detector(),
        landmarker=landmarker(),
        engine=engine,
    )

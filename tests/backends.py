"""Reconstruction backends in a folder of model files of their own: DECA and FaceVerse with made-up files of
the real formats, 3DDFA-V2 with those of the mirror; all of them registered with the built-in canonical model.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction import registry
from recon_service.reconstruction.backend import BackendOptions, Reconstructor
from recon_service.reconstruction.session import SessionOptions
from recon_service.registration import register
from recon_service.weights.convert.faceverse import faceverse_model
from recon_service.weights.convert.files import npz_bytes, safetensors_bytes
from recon_service.weights.convert.flame import flame_model
from recon_service.weights.derived import StoredFiles, write_derived
from recon_service.weights.store import WeightStore
from tests.heads import face, flame_arrays, ibug68_vertices, landmark_table
from tests.images import detector, landmarker
from tests.original_files import deca_parameters, faceverse_file, faceverse_parameters, generic_model

MADE_UP = ("deca", "faceverse")


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="recon-backends-")


@functools.cache
def store() -> WeightStore:
    """A folder with the made-up files, converted as a user's would be."""
    mirror = {k: v for k, v in os.environ.items() if k == "RECON_WEIGHTS_MIRROR"}
    made = WeightStore.from_environment(
        {"RECON_WEIGHTS_DIR": _folder().name, "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": "1", **mirror}
    )
    for name, content in {
        "deca": safetensors_bytes(deca_parameters()),
        "flame": npz_bytes(flame_model(generic_model())),
        "flame-landmarks": npz_bytes(_landmarks()),
        "faceverse": npz_bytes(faceverse_model(faceverse_file())),
        "faceverse-encoder": safetensors_bytes(faceverse_parameters()),
    }.items():
        write_derived(made, name, content, made_from={})
    return made


def _landmarks() -> dict[str, Any]:
    table = landmark_table(flame_arrays(np.random.default_rng(0))["triangles"])
    return {
        f"{part}_{what}": getattr(getattr(table, part), field)
        for part in ("fixed", "contour", "full")
        for what, field in (("faces", "faces"), ("weights", "barycentric"))
    }


def options(*, crops: int = 1, batch: int = 64) -> BackendOptions:
    session = SessionOptions(device=Device.CPU, batch=batch)
    return BackendOptions(session, crops=crops, detector=detector(), landmarker=landmarker())


@functools.cache
def backend(name: str, *, crops: int = 1, batch: int = 64) -> Reconstructor:
    """The backend, its correspondence with the built-in model in place."""
    found = registry.load(name, StoredFiles(store()), options(crops=crops, batch=batch))
    declared = registry.find(name).correspondence
    if not (store().directory / store().manifest.find_derived(declared).path).is_file():
        mesh, landmarks = found.mean_surface()
        pairs, _ = register(face(), ibug68_vertices(), mesh, landmarks, check=False)
        write_derived(store(), declared, pairs.content(), made_from={})
    return found


def path_of(name: str) -> Path:
    """Where a made-up file lies."""
    return store().directory / store().manifest.find_derived(name).path

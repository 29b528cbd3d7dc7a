"""The encoders of DECA and FaceVerse: their parameters out of the published checkpoints, checked by name and
shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.checkpoints import load_checkpoint
from recon_service.weights.convert.errors import OriginalInvalid
from third_party.deca import layout as deca
from third_party.faceverse import layout as faceverse

Arrays = dict[str, NDArray[Any]]
DECA_ENTRY: Final = "E_flame"


def deca_encoder(content: bytes) -> Arrays:
    """The coarse encoder out of ``deca_model.tar``; the detail networks are left behind.

    Raises OriginalInvalid where a parameter lacks or has another shape, PickleRefused for a checkpoint that
    asks for more than arrays.
    """
    value = load_checkpoint(content)
    if not isinstance(value, dict) or not isinstance(value.get(DECA_ENTRY), dict):
        raise OriginalInvalid(f"The checkpoint has no entry {DECA_ENTRY}, wanted that of deca_model.tar.")
    return checked(value[DECA_ENTRY], deca.encoder_shapes())


def faceverse_encoder(content: bytes) -> Arrays:
    """The encoder out of ``faceverse_resnet50.pth``. Raises as ``deca_encoder``."""
    value = load_checkpoint(content)
    if not isinstance(value, dict):
        raise OriginalInvalid("The checkpoint holds no named parameters.")
    return checked(value, faceverse.encoder_shapes())


def checked(parameters: Mapping[Any, Any], shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """The parameters of these names as float32; others are left out."""
    found: Arrays = {}
    for name, shape in shapes.items():
        array = parameters.get(name)
        if not isinstance(array, np.ndarray):
            raise OriginalInvalid(f"The checkpoint lacks {name}, wanted {shape}.")
        if array.shape != shape or array.dtype.kind != "f":
            raise OriginalInvalid(f"{name} is {array.dtype} {array.shape}, wanted numbers {shape}.")
        if not np.isfinite(array).all():
            raise OriginalInvalid(f"{name} holds values that are not finite.")
        found[name] = array.astype(np.float32)
    return found

"""MTCNN's networks: a pickled dictionary of arrays in an npy file."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.convert.errors import OriginalInvalid
from recon_service.weights.convert.pickles import load_arrays
from recon_service.weights.convert.stand_ins import FLAME_NAMES, resolved

# An array of one object is allowed beyond plain arrays, nothing else.
_NAMES: Final = {key: value for key, value in FLAME_NAMES.items() if key[0].startswith("numpy")}


def mtcnn_network(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of one network by name. Raises PickleRefused or OriginalInvalid."""
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except ValueError as fault:
        raise OriginalInvalid("The file is no npy file of version 1.") from fault
    if shape != () or dtype != np.dtype(object):
        raise OriginalInvalid("The npy file does not hold one dictionary.")
    value = resolved(load_arrays(stream.read(), extra=_NAMES))
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and isinstance(array, np.ndarray) and array.dtype == np.float32
        for name, array in value.items()
    ):
        raise OriginalInvalid("The npy file does not hold a dictionary of float32 arrays.")
    return value

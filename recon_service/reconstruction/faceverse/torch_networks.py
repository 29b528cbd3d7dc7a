"""The encoder run by torch: what the served graph is held against. Imported only on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from third_party.faceverse import encoder

Floats = NDArray[np.float32]


def load_encoder(parameters: Mapping[str, NDArray[Any]]) -> Callable[[Floats], Floats]:
    """The network on a GPU where there is one. Raises RuntimeError where parameters lack."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = encoder.load_encoder(parameters).to(device)

    def run(images: Floats) -> Floats:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images).to(device)).cpu().numpy())

    return run

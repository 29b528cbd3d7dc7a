"""An encoder run by torch: what the served graph is held against. Imported only on request."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recon_service.reconstruction.encoders import Encoder
from recon_service.reconstruction.session import Floats


def load_encoder(module: str, parameters: Mapping[str, NDArray[Any]]) -> Encoder:
    """The network that ``load_encoder`` of the module makes of the parameters, on a GPU where there is one.
    Raises RuntimeError where parameters lack.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = importlib.import_module(module).load_encoder(parameters).to(device)

    def run(images: Floats) -> Floats:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images).to(device)).cpu().numpy())

    return run

"""Where the batches are computed."""

from __future__ import annotations

from enum import StrEnum

import torch

from recon_service.domain.errors import InvalidValue


class TorchDevice(StrEnum):
    """auto: the graphics processor where there is one, else the processor."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def torch_device(choice: TorchDevice) -> torch.device:
    """Raises InvalidValue where a graphics processor is asked for and none is there."""
    there = torch.cuda.is_available()
    if choice is TorchDevice.CUDA and not there:
        raise InvalidValue(
            "no CUDA device is available to torch",
            next_step="Use auto or cpu, or install a build of torch for the machine's graphics processor.",
        )
    return torch.device("cuda" if there and choice is not TorchDevice.CPU else "cpu")

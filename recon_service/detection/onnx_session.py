"""A network in an ONNX file, run by ONNX Runtime on a GPU or, where that fails, on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import WeightsUnavailable
from recon_service.networks.onnx_runtime import Device, opened

Floats = NDArray[np.float32]
log = logging.getLogger(__name__)


class NetworkUnusable(WeightsUnavailable):
    """A file that is no network, or not one with the inputs and outputs that its reader expects."""

    code = "network-unusable"
    title = "A network cannot be used"


class OnnxNetwork:
    """One session; thread-safe.

    device: where it runs. batch: images per run, None for any number.
    """

    def __init__(self, network: Path | bytes, device: Device = Device.AUTO, *, threads: int = 1) -> None:
        """network: a file, or its content. threads: of one run on the CPU; the service spreads over
        processes instead.

        Raises NetworkUnusable for a file that is no network.
        """
        name = network.name if isinstance(network, Path) else "the network"
        given = str(network) if isinstance(network, Path) else network
        try:
            self._session, self.device = opened(given, device, name=name, threads=threads)
        except ImportError:
            raise
        except Exception as fault:
            raise NetworkUnusable(
                f"{name} is no ONNX network that can be run here ({type(fault).__name__}).",
                next_step="Pull it again: recon weights pull.",
            ) from fault
        if device is Device.CUDA and self.device is Device.CPU:
            log.warning("%s runs on the CPU: ONNX Runtime cannot use CUDA here", name)
        self._input = self._session.get_inputs()[0]
        first = self._input.shape[0]
        self.batch: int | None = first if isinstance(first, int) else None
        self.output_shapes: tuple[tuple[int | str | None, ...], ...] = tuple(
            tuple(output.shape) for output in self._session.get_outputs()
        )

    @property
    def input_shape(self) -> tuple[int | str | None, ...]:
        """As declared; names stand for lengths that are free."""
        return tuple(self._input.shape)

    def run(self, inputs: Floats) -> list[Floats]:
        """All outputs (N, …) of inputs (N, …), N any number: split into runs as the network wants them."""
        size = self.batch or len(inputs)
        chunks: Sequence[list[Floats]] = [
            self._session.run(None, {self._input.name: np.ascontiguousarray(inputs[at : at + size])})
            for at in range(0, len(inputs), size)
        ]
        if len(chunks) == 1:
            return chunks[0]
        return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]

"""Networks in the format of TensorFlow Lite, run by the runtime that is made for it (LiteRT) on one core."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_loading = threading.Lock()


class TFLiteNetwork:
    """One network with one input; behind a lock, because an interpreter is not re-entrant. outputs: names of
    those that are wanted. Raises ValueError for a file that is no such network.
    """

    def __init__(self, weights: Path, outputs: Sequence[str]) -> None:
        content = weights.read_bytes()
        with _loading, _without_chatter():
            self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        (self._input,) = (part["index"] for part in self._interpreter.get_input_details())
        there = {part["name"]: part["index"] for part in self._interpreter.get_output_details()}
        if missing := set(outputs) - set(there):
            raise ValueError(f"{weights.name} has no output {', '.join(sorted(missing))}")
        self._outputs = [there[name] for name in outputs]
        self._lock = threading.Lock()

    def run(self, picture: Float32) -> list[Float32]:
        """The wanted outputs, in their order, for a picture (H, W, C) of the size and range that the network
        takes.
        """
        with self._lock:
            self._interpreter.set_tensor(self._input, picture[None])
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    # The runtime writes past Python to the error output which engine it chose, and has no switch for it; our
    # logs are one JSON object a line.
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)

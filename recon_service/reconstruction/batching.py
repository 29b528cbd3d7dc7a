"""Runs of several callers as one: what is asked for within a short delay goes through a network together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from recon_service.reconstruction.session import Floats, Session

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class BatchingOptions:
    """delay_s: how long the first caller of a batch waits for others. items: of a batch, at most."""

    delay_s: float = 0.004
    items: int = 64

    def __post_init__(self) -> None:
        if self.delay_s < 0 or self.items < 1:
            raise ValueError("a delay is not negative, and a batch has at least one item")


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    inputs: Mapping[str, Floats]
    answer: Future[list[Floats]] = field(default_factory=Future)

    @property
    def items(self) -> int:
        return min(len(array) for array in self.inputs.values())

    @property
    def shapes(self) -> Shapes:
        """What must agree for two requests to go together: all but the number of items."""
        return tuple(sorted((name, array.shape[1:]) for name, array in self.inputs.items()))


class BatchingSession:
    """A session for any number of threads, whose concurrent runs are joined.

    A run that fails for a batch is repeated for each of its callers alone, so that what is wrong with one
    item is told to its caller and to nobody else. Callers of the same shapes are served in the order in which
    they came.
    """

    def __init__(
        self, session: Session, options: BatchingOptions | None = None, *, name: str = "network"
    ) -> None:
        self._session, self._options = session, options or BatchingOptions()
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"recon-batch-{name}", daemon=True)
        self.sizes: dict[int, int] = {}
        """How many batches had so many items."""
        self._thread.start()

    def run(self, **inputs: Floats) -> list[Floats]:
        """All outputs for the caller's items. Raises what the session raises for them alone."""
        if not inputs or any(array.ndim < 1 for array in inputs.values()):
            raise ValueError("a run needs arrays with an axis of items")
        request = _Request(inputs)
        self._waiting.put(request)
        return request.answer.result()

    def close(self) -> None:
        """End after what is already waiting."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        held: list[_Request] = []
        closing = False
        while not closing or held:
            if not held:
                first = self._waiting.get()
                if first is None:
                    return
                held.append(first)
            closing = self._gather(held) or closing
            batch = _together(held, self._options.items)
            held = [request for request in held if request not in batch]
            self._run(batch)

    def _gather(self, held: list[_Request]) -> bool:
        """Add what comes until the batch is full or the delay is over; True: it was the last."""
        deadline = time.monotonic() + self._options.delay_s
        while sum(request.items for request in _together(held, self._options.items)) < self._options.items:
            try:
                remaining = deadline - time.monotonic()
                more = self._waiting.get(timeout=remaining) if remaining > 0 else self._waiting.get_nowait()
            except queue.Empty:
                return False
            if more is None:
                return True
            held.append(more)
        return False

    def _run(self, batch: Sequence[_Request]) -> None:
        try:
            if len(batch) == 1:
                outputs = self._session.run(**batch[0].inputs)
                self._count(batch[0].items)
                batch[0].answer.set_result(outputs)
                return
            joined = {name: np.concatenate([r.inputs[name] for r in batch]) for name in batch[0].inputs}
            outputs = self._session.run(**joined)
            self._count(sum(request.items for request in batch))
        except Exception as fault:
            if len(batch) == 1:
                batch[0].answer.set_exception(fault)
                return
            for request in batch:  # one of them spoils it for all
                self._run([request])
            return
        at = 0
        for request in batch:
            request.answer.set_result([output[at : at + request.items] for output in outputs])
            at += request.items

    def _count(self, items: int) -> None:
        self.sizes[items] = self.sizes.get(items, 0) + 1


def _together(held: Sequence[_Request], items: int) -> list[_Request]:
    """The first request, and those after it that can go with it."""
    chosen, total = [held[0]], held[0].items
    for request in held[1:]:
        if request.shapes == held[0].shapes and total + request.items <= items:
            chosen.append(request)
            total += request.items
    return chosen

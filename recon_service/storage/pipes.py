"""Libraries that want a reader or a writer, where we want it the other way round: a pipe and a thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast


@contextmanager
def written_into(consume: Callable[[BinaryIO], None]) -> Iterator[BinaryIO]:
    """A file to write to; what is written is what ``consume`` reads. Raises what it raises, at the end; when
    the block raises, what ``consume`` made of the beginning is worth nothing.
    """
    source, sink = os.pipe()
    fault: list[BaseException] = []
    thread = threading.Thread(target=_run, args=(consume, source, "rb", fault), daemon=True)
    thread.start()
    try:
        with os.fdopen(sink, "wb") as file:
            yield file
    except BrokenPipeError:
        pass  # the other end gave up: it says why
    finally:
        thread.join()
    if fault:
        raise fault[0]


@contextmanager
def read_out_of(produce: Callable[[BinaryIO], None]) -> Iterator[BinaryIO]:
    """A file to read, of what ``produce`` writes. Where ``produce`` fails, the file ends early: whoever reads
    must know the end when they see it.
    """
    source, sink = os.pipe()
    fault: list[BaseException] = []
    thread = threading.Thread(target=_run, args=(produce, sink, "wb", fault), daemon=True)
    thread.start()
    try:
        with os.fdopen(source, "rb") as file:
            yield file
    finally:
        thread.join()


def _run(work: Callable[[BinaryIO], None], end: int, mode: str, fault: list[BaseException]) -> None:
    # Closing flushes, which fails where the other end is gone already.
    with suppress(BrokenPipeError), os.fdopen(end, mode) as file:
        try:
            work(cast(BinaryIO, file))
        except BaseException as problem:
            fault.append(problem)

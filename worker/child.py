"""What a child process runs: build the pipeline once, then serve one call after the other until the parent
goes.

Started as ``python -m worker.child FD NICENESS``; FD is a socket to the parent. Messages are tuples (see
``child_process.py``); those of the child are written by ``answers.py``. The child keeps nothing between calls
and writes nothing anywhere; ``child_limits`` sees to that, and to what a call may use.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

import structlog

from recon_service.application import errors as application_errors
from recon_service.domain import errors as domain_errors
from recon_service.domain.errors import ReconError
from worker.answers import send
from worker.child_limits import limit_at_start, limit_call, limit_when_loaded, out_of_memory
from worker.standing_back import stand_back


def main() -> None:
    """Serve the parent at the other end of the socket."""
    # Ctrl-C and a supervisor's stop reach the whole group; the parent decides when its children stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # One small fit per process: threads of the math library would only get in each other's way.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    stand_back(int(sys.argv[2]))
    limit_at_start()
    connection = Connection(int(sys.argv[1]))
    try:
        settings = connection.recv()
        _serve(connection, settings)
    except (EOFError, ConnectionError):
        pass  # the parent is gone, and so are we


def _serve(connection: Connection, settings: Any) -> None:
    from recon_service.bootstrap import build_compute
    from recon_service.telemetry import configure_logging

    configure_logging(level=settings.log_level, format="json")  # for the parent: see child_output
    try:
        import cv2

        cv2.setNumThreads(1)
        compute = build_compute(settings)
    except ReconError as fault:
        send(connection, described(fault))
        return
    # What a graphics processor's driver maps is not to be told from what a decoder takes.
    limit_when_loaded(settings.child_memory_mb if settings.matching_device == "cpu" else 0)
    send(connection, ("ready", compute.versions))
    while True:
        method, arguments, wants_progress, log_fields, limit_s = connection.recv()
        limit_call(limit_s)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**log_fields)
        begun = time.perf_counter()
        if wants_progress:
            arguments = (*arguments, lambda stage, share: send(connection, ("progress", (stage, share))))
        try:
            answer = ("value", getattr(compute, method)(*arguments))
        except ReconError as fault:
            answer = described(fault)
        except Exception as fault:
            answer = ("crash", type(fault).__name__)
            if out_of_memory(fault):
                answer = ("memory", None)
            else:
                structlog.get_logger().error("compute failed", method=method, exc_info=fault)
        ms = round(1000 * (time.perf_counter() - begun), 1)
        structlog.get_logger().debug("computed", method=method, answer=answer[0], ms=ms)
        send(connection, answer)


def described(fault: ReconError) -> tuple[str, object]:
    """An error as the parent can rebuild it without importing the module that it comes from."""
    return "error", (_base(type(fault)).__name__, fault.code, fault.title, fault.detail, fault.next_step)


def _base(kind: type[ReconError]) -> type[ReconError]:
    light = (domain_errors.__name__, application_errors.__name__)
    return next(k for k in kind.__mro__ if k.__module__ in light)


if __name__ == "__main__":
    main()

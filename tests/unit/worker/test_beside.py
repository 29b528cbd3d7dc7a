"""Processes beside a worker are started again, whatever ended them or kept them from starting."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import pytest

from worker import housekeeping
from worker.housekeeping import Beside

PATIENCE_S = 10.0


def test_a_process_that_cannot_be_started_at_this_moment_is_started_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fork fails while the machine has no memory: the worker would have no sweeper from then on."""
    monkeypatch.setattr(housekeeping, "RESTART_S", 0.01)
    popen, tries = subprocess.Popen, list[str]()

    def short_of_memory(*arguments: Any, **options: Any) -> object:
        tries.append("")
        if len(tries) < 3:
            raise OSError(12, "Cannot allocate memory")
        return popen(["cat"], **options)

    monkeypatch.setattr(subprocess, "Popen", short_of_memory)
    beside = Beside()
    beside.start()
    deadline = time.monotonic() + PATIENCE_S
    while beside.pid is None and time.monotonic() < deadline:
        time.sleep(0.01)
    first = beside.pid
    assert first is not None
    popen(["kill", "-9", str(first)]).wait()
    while beside.pid in (None, first) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert beside.pid not in (None, first)
    beside.stop()
    assert len(tries) == 4

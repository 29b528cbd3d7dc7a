"""Server processes of the tests: on loopback ports of their own, gone when the tests are, come what may."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

START_LIMIT_S = 120.0


class ServerMissing(Exception):
    """A server program is not installed. Not a reason to skip: the tests mean what they say only with it."""


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str, *, beside: Sequence[Path] = (), install: str) -> Path:
    """Where ``name`` lies: in one of the folders ``beside``, in the environment's own, or on the PATH."""
    for folder in (*beside, Path(sys.executable).parent):
        if (folder / name).is_file():
            return folder / name
    if found := shutil.which(name):
        return Path(found)
    raise ServerMissing(f"the tests need {name}: {install}")


def ends_with_parent(command: Sequence[str]) -> list[str]:
    """The command, so that its process ends when the one that started it is killed (Linux; elsewhere it
    stays until it is stopped). By a program and not by ``preexec_fn``: for that, libraries run code of
    theirs between fork and exec, where OpenTelemetry waits for threads that are not there.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else list(command)


def with_small_files(command: Sequence[str], largest: int) -> list[str]:
    """The command, whose process cannot let a file grow beyond so many bytes, as on a full disk."""
    limit = program("prlimit", install="apt install util-linux")
    return [str(limit), f"--fsize={largest}", "--", *command]


class ServerProcess:
    """One server that can be started, stopped, killed, paused and started again on the same port."""

    def __init__(
        self, command: Sequence[str], *, log: Path, answers: Callable[[], None], **options: Any
    ) -> None:
        """answers: raises until the server serves. options: of Popen."""
        self._command, self._log, self._answers, self._options = list(command), log, answers, options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                ends_with_parent(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._options,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                self._answers()
            except Exception as fault:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    tail = self._log.read_text(errors="replace")[-2000:]
                    raise AssertionError(f"{self._command[0]} did not start: {fault}\n{tail}") from fault
                time.sleep(0.02)
            else:
                return

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """It holds its connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


def connects(port: int) -> Callable[[], None]:
    """Raises unless something listens on ``port``."""

    def probe() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            pass

    return probe


def remove(folder: Path) -> None:
    """A server's folder, whoever owns what is in it."""
    shutil.rmtree(folder, ignore_errors=True)

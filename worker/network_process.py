"""Keeps the process that runs the reconstruction networks alive beside a worker (``networks.py``)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import structlog

from recon_service.reconstruction.elsewhere import NetworksElsewhere
from recon_service.settings import Settings
from worker.child_environment import without_secrets
from worker.networks import NetworkOptions
from worker.own_folder import OwnFolder

RESTART_S: Final = 1.0
SHUTDOWN_S: Final = 10.0


class NetworkProcess:
    """One process per worker, and so one per GPU; started again when it dies."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is started yet, but where it will listen is known."""
        self._folder = None if settings.network_socket else OwnFolder("recon-socket-")
        self.socket = (
            settings.network_socket or Path(self._folder.path if self._folder else "") / "networks.sock"
        )
        self.settings = settings.model_copy(update={"network_socket": self.socket})
        """For those who shall use it."""
        self._argument = NetworkOptions.of(settings, self.socket).as_argument()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="recon-network-process", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begin; loading goes on while nobody waits."""
        self._thread.start()

    def check(self) -> None:
        """Raises NetworksAway unless every network is loaded."""
        NetworksElsewhere(self.socket).check()

    def stop(self) -> None:
        """Let it end what it does."""
        self._stopping.set()
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(SHUTDOWN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder is not None:
            self._folder.remove()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            command = [sys.executable, "-m", "worker.networks", self._argument]
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    env=without_secrets(os.environ),
                )
            except OSError as fault:  # no memory or no process to be had: there will be
                structlog.get_logger().warning("the process of the networks does not start", exc_info=fault)
                self._stopping.wait(RESTART_S)
                continue
            code = self._process.wait()
            if self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            if not self._stopping.is_set():
                structlog.get_logger().warning("the process of the networks ended", code=code)
            self._stopping.wait(RESTART_S)

"""``python -m worker.networks OPTIONS``: the one process of a GPU that runs the reconstruction networks, in
batches that go across enrollments.

It loads every network whose files are here once, then answers the compute processes over a socket that only
their user can open. It gets no secret and keeps nothing. Ends with the process that started it, whose end of
the standard input it watches.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import structlog

from recon_service.domain.errors import ReconError
from recon_service.networks.onnx_runtime import Device
from recon_service.reconstruction.batching import BatchingOptions, BatchingSession
from recon_service.reconstruction.messages import BadMessage, receive, send
from recon_service.reconstruction.session import Floats, OnnxSession, Session, SessionOptions
from recon_service.settings import Settings


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What the process is told: socket, and the settings that concern it."""

    socket: str
    device: str = "auto"
    items: int = 64
    delay_s: float = 0.004
    half: bool = False
    threads: int = 1
    log_level: str = "info"
    log_format: str = "auto"

    @classmethod
    def of(cls, settings: Settings, socket: Path) -> NetworkOptions:
        return cls(
            str(socket),
            settings.network_device,
            settings.network_batch,
            settings.network_delay_ms / 1000,
            settings.network_half,
            settings.network_threads,
            settings.log_level,
            settings.log_format,
        )

    def as_argument(self) -> str:
        return json.dumps(asdict(self))


class NetworkServer:
    """Answers runs and questions about its standing."""

    def __init__(self, address: Path, expected: tuple[str, ...], options: BatchingOptions) -> None:
        """expected: names of the networks that will be added."""
        self._expected, self._options = expected, options
        self._sessions: dict[str, BatchingSession] = {}
        self._device = ""
        address.unlink(missing_ok=True)  # of a process that was killed
        self._listener = Listener(str(address), "AF_UNIX", backlog=64)
        address.chmod(0o600)

    def add(self, name: str, session: Session, device: str) -> None:
        """From now on it can be run."""
        self._device = device
        self._sessions[name] = BatchingSession(session, self._options, name=name)

    def start(self) -> None:
        """Answer, in threads."""
        threading.Thread(target=self._accept, name="recon-networks", daemon=True).start()

    def close(self) -> None:
        """Stop listening, end after what waits."""
        self._listener.close()
        for session in self._sessions.values():
            session.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            try:
                while True:
                    head, arrays = receive(connection)
                    self._answer(connection, head, arrays)
            except (EOFError, OSError):
                pass  # the caller is gone
            except (BadMessage, KeyError, TypeError, ValueError):
                structlog.get_logger().warning("a caller that makes no sense was hung up on")

    def _answer(self, connection: Connection, head: Mapping[str, object], arrays: list[Floats]) -> None:
        if "standing" in head:
            loaded = dict(self._sessions)
            sizes = {name: session.sizes for name, session in loaded.items()}
            standing = {"loaded": list(loaded), "expected": self._expected, "device": self._device}
            send(connection, {**standing, "sizes": sizes})
            return
        name, names = str(head["network"]), head["inputs"]
        if not isinstance(names, list):
            raise BadMessage("no names of inputs")
        inputs = dict(zip(names, arrays, strict=True))
        session = self._sessions.get(name)
        if session is None:
            if name in self._expected:  # still loading: hung up, the caller comes again
                raise EOFError
            send(connection, {"unknown": name})
            return
        try:
            outputs = session.run(**inputs)
        except Exception as fault:
            structlog.get_logger().warning("a network failed", network=name, fault=type(fault).__name__)
            send(connection, {"fault": type(fault).__name__})
        else:
            send(connection, {}, outputs)


def load_networks(options: NetworkOptions) -> NetworkServer:
    """Listen first, so that callers can tell loading from dead; then load what there is files for."""
    from recon_service.backends import network_graphs

    graphs = network_graphs()
    server = NetworkServer(
        Path(options.socket), tuple(graphs), BatchingOptions(delay_s=options.delay_s, items=options.items)
    )
    server.start()
    session_options = SessionOptions(
        Device(options.device), threads=options.threads, batch=options.items, half=options.half
    )
    for name, graph in graphs.items():
        session = OnnxSession(graph(), session_options, name=name)
        server.add(name, session, session.device.value)
    return server


def main() -> None:
    """Serve until the standard input ends."""
    from recon_service.telemetry import configure_logging

    # A supervisor's stop reaches the whole group: the worker says when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    options = NetworkOptions(**json.loads(sys.argv[1]))
    configure_logging(level=options.log_level, format=options.log_format)
    try:
        server = load_networks(options)
    except ReconError as fault:
        structlog.get_logger().error("networks cannot be loaded", code=fault.code, detail=fault.detail)
        sys.exit(1)
    structlog.get_logger().info("networks loaded", recon_models_loaded=len(server._sessions))
    sys.stdin.buffer.read()
    server.close()


if __name__ == "__main__":
    main()

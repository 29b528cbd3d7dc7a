"""A TCP proxy between the service and a server: it can refuse, cut, stall and slow what goes through."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from tests.servers.processes import free_port


class Proxy:
    """Forwards 127.0.0.1:``port`` to 127.0.0.1:``target``. The faults may be switched at any time."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.delay_s = 0.0
        """Before every piece that comes back from the server."""
        self.stalled = False
        """Connections are taken, and nothing comes back."""
        self._target = target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def start(self) -> Proxy:
        """Take connections from now on."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def refuse(self) -> None:
        """Cut every connection, and take no new ones until ``start``."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection that is open."""
        with self._lock:
            cut, self._open = self._open, set()
        for end in cut:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    close = refuse

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                ours, _ = listener.accept()
            except OSError:
                return
            try:
                theirs = socket.create_connection(("127.0.0.1", self._target), timeout=5.0)
                theirs.settimeout(None)
            except OSError:
                ours.close()
                continue
            with self._lock:
                self._open |= {ours, theirs}
            for source, sink, back in ((ours, theirs, False), (theirs, ours, True)):
                threading.Thread(target=self._pump, args=(source, sink, back), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if back:
                    time.sleep(self.delay_s)
                    while self.stalled:
                        time.sleep(0.02)
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        with self._lock:
            self._open -= {source, sink}

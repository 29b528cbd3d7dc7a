"""Posting to an endpoint: one request to an address that was checked, no redirect, no proxy, everything
within a time limit, and little of the answer read.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from recon_service import __version__
from recon_service.application.ports.webhooks import Answer
from recon_service.webhooks.addresses import (
    IPNetwork,
    Target,
    WebhookAddressRefused,
    checked_target,
    resolve,
)

LIMIT_S: Final = 10.0
CONNECT_S: Final = 4.0
MAX_ANSWER: Final = 64 * 1024


class HttpWebhookSender:
    """See ``ports.WebhookSender``. For any number of threads."""

    def __init__(
        self,
        *,
        allowed: Sequence[IPNetwork] = (),
        limit_s: float = LIMIT_S,
        trust: ssl.SSLContext | None = None,
        resolver: Callable[[str, int], list[str]] = resolve,
    ) -> None:
        """allowed: networks beside the public ones. trust: whose certificates are believed; None: those of
        the system.
        """
        self._allowed, self._limit_s, self._resolver = tuple(allowed), limit_s, resolver
        self._trust = trust or ssl.create_default_context()

    def refuse(self, url: str) -> None:
        """Raises WebhookAddressRefused, also for a name that does not resolve."""
        try:
            self._target(url)
        except (OSError, UnicodeError):
            raise WebhookAddressRefused(
                "the name of the host does not resolve", next_step="Correct the address."
            ) from None

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One POST."""
        try:
            target = self._target(url)
        except WebhookAddressRefused:
            return Answer(fault="address-refused")
        except (OSError, UnicodeError):
            return Answer(fault="name-not-resolved")
        connection = _Connection(target, self._trust, self._limit_s)
        # A socket's own limit is for each step; an endpoint that sends a byte a second keeps within it for
        # hours. When the whole took too long, the socket is shut, and whatever waits on it ends.
        late = threading.Event()
        timer = threading.Timer(self._limit_s, _give_up, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            answer = self._post(connection, target, headers, body)
            # Cut off in the middle of its head, an answer may look like a whole one.
            return Answer(fault="timeout") if late.is_set() else answer
        except TimeoutError:
            return Answer(fault="timeout")
        except ssl.SSLError:
            return Answer(fault="timeout" if late.is_set() else "tls")
        except (OSError, http.client.HTTPException, ValueError):
            return Answer(fault="timeout" if late.is_set() else "connection")
        finally:
            timer.cancel()
            connection.close()

    def _target(self, url: str) -> Target:
        return checked_target(url, allowed=self._allowed, resolver=self._resolver)

    def _post(
        self, connection: _Connection, target: Target, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        connection.request(
            "POST",
            target.path,
            body=body,
            headers={
                "Host": target.authority,
                "Content-Type": "application/json",
                "User-Agent": f"recon-service/{__version__}",
                "Connection": "close",
                **headers,
            },
        )
        answer = connection.getresponse()
        answer.read(MAX_ANSWER)  # the other side sees its answer taken; what is more is not read
        if 300 <= answer.status < 400:
            return Answer(answer.status, "redirect")
        return Answer(answer.status, "" if answer.status < 300 else "refused")


def _give_up(connection: _Connection, late: threading.Event) -> None:
    late.set()
    connection.abort()


class _Connection(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name resolves to by now."""

    def __init__(self, target: Target, trust: ssl.SSLContext, limit_s: float) -> None:
        super().__init__(target.host, target.port, timeout=limit_s)
        self._target, self._trust, self._limit_s = target, trust, limit_s

    def connect(self) -> None:
        address = (self._target.address, self._target.port)
        plain = socket.create_connection(address, min(CONNECT_S, self._limit_s))
        plain.settimeout(self._limit_s)
        self.sock = plain
        if self._target.secure:
            self.sock = self._trust.wrap_socket(plain, server_hostname=self._target.host)

    def abort(self) -> None:
        """From another thread: end whatever waits on the socket."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

"""Uvicorn around the application."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from recon_service.api.embedded import prepare
from recon_service.api.http_protocol import ImpatientProtocol
from recon_service.domain.errors import Conflict
from recon_service.setting_names import SettingsInvalid
from recon_service.settings import Settings

GRACE_S = 20
MAX_MESSAGE_BYTES = 128 * 1024
"""Of a WebSocket, from strangers too: larger than any that ``guidance`` takes."""


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until a signal comes. announce: prints a line for the person who started it."""
    tls = _tls(settings)
    prepared = prepare(settings)
    listener = _listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    if prepared.new_key:
        announce("A development API key with all scopes was made. It works only on this machine.")
        announce("It is shown only now:")
        announce(f"  export RECON_API_KEY={prepared.new_key}")
    scheme = "https" if settings.tls_certificate_file else "http"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    announce(f"Listening on {scheme}://{shown}:{port}  (documentation: /docs, stop with Ctrl-C)")
    config = uvicorn.Config(
        prepared.app,
        log_config=None,
        access_log=False,
        server_header=False,
        http=ImpatientProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=32_768,
        **tls,
    )
    # Uvicorn stops gracefully and then raises the signal again: to have stopped as asked is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listener])


def _tls(settings: Settings) -> dict[str, Any]:
    """Options of uvicorn. Raises SettingsInvalid for a part of them."""
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    authority = settings.tls_client_authority_file
    if certificate is None and key is None and authority is None:
        return {}
    if certificate is None or key is None:
        raise SettingsInvalid(
            "TLS needs a certificate and its key",
            next_step="Set RECON_TLS_CERTIFICATE_FILE and RECON_TLS_KEY_FILE, or neither.",
        )
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if authority is not None:
            context.load_verify_locations(authority)
    except OSError as fault:
        raise SettingsInvalid(
            f"the files for TLS cannot be used: {fault.strerror or fault}",
            next_step="Name PEM files that the service may read in RECON_TLS_CERTIFICATE_FILE, "
            "RECON_TLS_KEY_FILE and, for client certificates, RECON_TLS_CLIENT_AUTHORITY_FILE.",
        ) from fault
    options: dict[str, Any] = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    if authority is not None:
        options |= {"ssl_ca_certs": str(authority), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _listen(host: str, port: int) -> socket.socket:
    """Bound before the worker starts: a port that is taken shall not take up anybody's work."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio switches off the delay of small packets only where it sees TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # early callers wait for the start instead of being refused
    except OSError as fault:
        listener.close()
        raise Conflict(
            f"cannot listen on {host}:{port}: {fault.strerror}",
            next_step="Choose another with --host or --port.",
        ) from fault
    return listener

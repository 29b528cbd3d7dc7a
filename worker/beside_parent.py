"""What processes beside a worker have in common: they end with the process that started them, whose end of
the standard input they watch, and they wait for a database that is not there yet.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from recon_service.application.errors import StorageUnavailable
from recon_service.settings import Settings

if TYPE_CHECKING:
    from recon_service.bootstrap import OpenStores

RESTART_S: Final = 2.0


def begin_beside_parent() -> tuple[Settings, threading.Thread]:
    """Settings, and a thread that ends when the parent does. Logging is configured.

    Signals are ignored: a supervisor's stop reaches the whole group, and the worker says when.
    """
    from recon_service.telemetry import configure_logging

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, format=settings.log_format)
    parent = threading.Thread(target=sys.stdin.buffer.read, name="recon-parent", daemon=True)
    parent.start()
    return settings, parent


def stores_beside_parent(settings: Settings, parent: threading.Thread) -> OpenStores | None:
    """The stores as soon as they can be opened; None when the parent ended before."""
    from recon_service.bootstrap import open_stores

    while parent.is_alive():
        try:
            return open_stores(settings)
        except StorageUnavailable:
            parent.join(RESTART_S)  # a database that restarts is no reason to die
    return None

"""``python -m worker.housekeeping``: relay and sweeper beside a worker, in a process of their own.

Not in threads of the worker's parent: that one forks its pool, and a fork beside threads and open
connections is asking for trouble. Ends with the process that started it, whose end of the standard input it
watches.
"""

from __future__ import annotations

import subprocess
import sys

from recon_service.settings import Settings


def start_beside() -> subprocess.Popen[bytes]:
    """Start it for this process; closing ``stdin`` ends it."""
    return subprocess.Popen([sys.executable, "-m", "worker.housekeeping"], stdin=subprocess.PIPE)


def main() -> None:
    """Work until the standard input ends."""
    import signal
    from datetime import timedelta

    from recon_service.bootstrap import job_policy, open_stores
    from recon_service.telemetry import configure_logging
    from worker.app import make_app
    from worker.housekeeper import Housekeeper
    from worker.queue import CeleryQueue

    # A supervisor's stop reaches the whole group: the worker says when.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, format=settings.log_format)
    opened = open_stores(settings)
    housekeeper = Housekeeper(
        opened.stores,
        CeleryQueue(make_app(settings)),
        job_policy(settings),
        sweep_s=settings.sweep_seconds,
        keep_dead=timedelta(hours=settings.dead_hours),
    )
    housekeeper.start()
    sys.stdin.buffer.read()
    housekeeper.stop()
    opened.close()


if __name__ == "__main__":
    main()

"""What goes wrong in the chaos test, each of it for real, and how it is mended."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.integration.running import Server
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis_server import Redis
from tests.servers.s3_server import S3

OUTAGE_S = (0.2, 2.0)
JUMP_S = 3 * 3600.0


@dataclass
class Production:
    """The servers behind a service, those that are spoken to through proxies behind those. s3: with a small
    disk, and a bucket for ballast. clock: file of the seconds by which every process's clock is off.
    """

    postgres: Postgres
    redis: Redis
    objects: Proxy
    s3: S3 | None = None
    ballast: str = ""
    clock: Path | None = None


@dataclass
class Faults:
    """Causes one fault after the other, at moments and in an order that the seed decides."""

    server: Server
    production: Production | None
    random: random.Random
    kills: int = 0
    other: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def one(self) -> None:
        """A fault and its repair."""
        names = list(self._weights())
        (name,) = self.random.choices(names, weights=list(self._weights().values()))
        self.counts[name] = self.counts.get(name, 0) + 1
        getattr(self, name)()

    def _weights(self) -> dict[str, int]:
        if self.production is None:
            return {"kill_service": 3, "kill_compute_of_service": 1}
        return {
            "kill_service": 4,
            "kill_worker": 4,
            "kill_part_of_worker": 8,
            "kill_database": 2,
            "kill_redis": 1,
            "flush_redis": 2,
            "refuse_objects": 1,
            "slow_objects": 1,
            "stall_redis": 1,
            **({"fill_disk": 1} if self.production.s3 is not None else {}),
            **({"jump_clock": 2} if self.production.clock is not None else {}),
        }

    # ---- kill -9 ----------------------------------------------------------------------------

    def kill_service(self) -> None:
        """The API process; embedded, the worker with it."""
        self.server.kill()
        self.kills += 1
        self.server.start_api(ready=False)

    def kill_compute_of_service(self) -> None:
        """One of the processes that do the heavy work."""
        assert self.server.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.server.process.pid).children(recursive=True)
            if children:
                self.random.choice(children).kill()
                self.kills += 1

    def kill_worker(self) -> None:
        """A worker with all its processes at once."""
        worker = self.random.choice(self.server.crew)
        worker.kill()
        self.kills += 1
        worker.start()

    def kill_part_of_worker(self) -> None:
        """One process of a worker: itself, its pool, its compute or its housekeeping."""
        worker = self.random.choice(self.server.crew)
        parts = worker.parts()
        if parts:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.random.choice(parts).kill()
                self.kills += 1
        time.sleep(0.1)
        if not worker.alive:
            worker.kill()  # what it left behind
            worker.start()

    def kill_database(self) -> None:
        """PostgreSQL at once, its children notice, and it recovers from its log."""
        assert self.production is not None
        self.production.postgres.server.kill()
        self.kills += 1
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.postgres.start()

    def kill_redis(self) -> None:
        """Every message is lost with it."""
        assert self.production is not None
        self.production.redis.server.kill()
        self.kills += 1
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.redis.start()

    # ---- others -----------------------------------------------------------------------------

    def flush_redis(self) -> None:
        """Somebody empties it."""
        assert self.production is not None
        self.production.redis.client().flushall()
        self.other += 1

    def stall_redis(self) -> None:
        """It holds its connections and answers nothing."""
        assert self.production is not None
        self.production.redis.server.pause()
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.redis.server.resume()
        self.other += 1

    def refuse_objects(self) -> None:
        """The object store takes no connections."""
        assert self.production is not None
        self.production.objects.refuse()
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.objects.start()
        self.other += 1

    def slow_objects(self) -> None:
        """Every answer of the object store takes its time."""
        assert self.production is not None
        self.production.objects.delay_s = 0.5
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.objects.delay_s = 0.0
        self.other += 1

    def fill_disk(self) -> None:
        """The object store's disk has no room left."""
        assert self.production is not None
        assert self.production.s3 is not None
        self.production.s3.fill(self.production.ballast)
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.s3.free(self.production.ballast)
        self.other += 1

    def jump_clock(self) -> None:
        """Every process's clock is hours off, into the past or the future, and put right again."""
        assert self.production is not None
        assert self.production.clock is not None
        self.production.clock.write_text(str(self.random.uniform(-JUMP_S, JUMP_S)))
        time.sleep(self.random.uniform(*OUTAGE_S))
        self.production.clock.write_text("0")
        self.other += 1


@contextlib.contextmanager
def stopping_cleanly(*stops: Callable[[], object]) -> Iterator[None]:
    """Run every stop, whatever the block or another stop raises."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        for stop in stops:
            with contextlib.suppress(Exception):
                stop()

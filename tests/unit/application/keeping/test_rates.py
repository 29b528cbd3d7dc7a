"""Requests of an API key: the limit holds over all processes, and who is beyond it costs nobody anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from recon_service.application.errors import TooManyRequests
from recon_service.application.keeping.rates import RequestLimiter
from recon_service.application.ports.stores import Stores, utc_now


@dataclass
class Watched:
    """A database that counts its transactions, and holds them up while it is told to."""

    real: Any
    written: int = 0
    holds: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        self.written += 1
        if self.holds.is_set():
            self.entered.set()
            assert self.release.wait(30)
        with self.real.transaction() as tx:
            yield tx


@dataclass
class Bench:
    stores: Stores
    database: Watched
    moment: Any = field(default_factory=utc_now)

    def limiter(self, per_minute: int) -> RequestLimiter:
        on = replace(self.stores, database=self.database, clock=lambda: self.moment)  # type: ignore[arg-type]
        return RequestLimiter(per_minute, on)


@pytest.fixture
def bench(stores: Stores) -> Bench:
    return Bench(stores, Watched(stores.database))


def passed(limiter: RequestLimiter, key: str, times: int) -> int:
    count, waits = 0, []
    for _ in range(times):
        try:
            limiter.take(key)
            count += 1
        except TooManyRequests as refusal:
            waits.append(refusal.retry_after_s or 0)
    assert all(1 <= wait <= 60 for wait in waits)
    return count


def test_a_key_beyond_its_limit_is_refused_without_the_database(bench: Bench) -> None:
    limiter, other = bench.limiter(100), bench.limiter(100)
    assert passed(limiter, "key", 60) + passed(other, "key", 60) == 100
    before = bench.database.written
    assert passed(limiter, "key", 500) + passed(other, "key", 500) == 0
    assert bench.database.written - before <= 2, "each process asks once more, and then knows"

    bench.moment += timedelta(seconds=61)
    assert passed(limiter, "key", 150) == 100, "the next minute is a new one"
    bench.moment -= timedelta(days=1)  # a clock that is put back locks nobody out for a day
    assert passed(limiter, "key", 150) == 100


def test_a_key_whose_share_is_being_asked_for_keeps_no_other_waiting(bench: Bench) -> None:
    limiter = bench.limiter(1000)
    limiter.take("other")
    bench.database.holds.set()
    waiting = threading.Thread(target=limiter.take, args=("slow",), daemon=True)
    waiting.start()
    assert bench.database.entered.wait(30)
    served = threading.Thread(target=limiter.take, args=("other",), daemon=True)
    served.start()
    served.join(10)
    still_waits = waiting.is_alive()
    bench.database.release.set()
    waiting.join(30)
    assert still_waits
    assert not served.is_alive()


def test_threads_of_one_key_get_no_more_than_the_limit(bench: Bench) -> None:
    limiter, counts = bench.limiter(60), []
    threads = [threading.Thread(target=lambda: counts.append(passed(limiter, "key", 20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 60


def test_sessions_that_came_and_went_are_forgotten(bench: Bench) -> None:
    limiter = bench.limiter(300)
    limiter._full = 8
    for number in range(40):
        limiter.take(f"session-{number}")
        bench.moment += timedelta(seconds=20)
        limiter._full = min(limiter._full, 8)
    assert len(limiter._shares) <= 8

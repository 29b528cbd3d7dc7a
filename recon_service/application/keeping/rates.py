"""How many requests an API key may send per minute, over all processes together."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from recon_service.application.errors import TooManyRequests
from recon_service.application.ports.stores import Stores

WINDOW: Final = timedelta(minutes=1)
SHARES: Final = 50
"""A process takes requests from the database by the fiftieth part of the limit: a write for each of them
would cost more than most of them do. What it has taken and not used is lost at the end of the minute.
"""


@dataclass(slots=True)
class _Share:
    left: int
    until: datetime
    since: datetime


@dataclass(slots=True)
class RequestLimiter:
    """per_minute 0: no limit. For any number of threads."""

    per_minute: int
    on: Stores
    _shares: dict[str, _Share] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, api_key_id: str) -> None:
        """Count one request. Raises TooManyRequests, StorageFault."""
        if self.per_minute == 0:
            return
        now = self.on.clock()
        with self._lock:
            share = self._shares.get(api_key_id)
            if share is None or not share.since <= now < share.until or share.left == 0:
                share = self._next(api_key_id, now)
            if share.left == 0:
                refusal = TooManyRequests(
                    f"this API key has sent its {self.per_minute} requests of this minute",
                    next_step="Send the request again after the time in Retry-After.",
                )
                refusal.retry_after_s = max(1, round((share.until - now).total_seconds()))
                raise refusal
            share.left -= 1

    def _next(self, api_key_id: str, now: datetime) -> _Share:
        wanted = max(1, self.per_minute // SHARES)
        with self.on.database.transaction() as tx:
            granted, until = tx.limits.take_requests(
                api_key_id, wanted, limit=self.per_minute, window=WINDOW, now=now
            )
        share = self._shares[api_key_id] = _Share(granted, until, now)
        return share

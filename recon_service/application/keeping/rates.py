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
REMEMBERED: Final = 256
"""Shares that are over are dropped when there are more: capture sessions come and go for ever."""


@dataclass(slots=True)
class _Share:
    """What this process may still let pass for a key. since, until: of the minute it belongs to. none_left:
    the database had nothing to give, and will not have until then.
    """

    since: datetime
    until: datetime
    left: int = 0
    none_left: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class RequestLimiter:
    """per_minute 0: no limit. For any number of threads; a key whose share is asked for keeps no other key
    waiting.
    """

    per_minute: int
    on: Stores
    _shares: dict[str, _Share] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _full: int = REMEMBERED

    def take(self, api_key_id: str) -> None:
        """Count one request. Raises TooManyRequests, StorageFault."""
        if self.per_minute == 0:
            return
        now = self.on.clock()
        share = self._share_of(api_key_id, now)
        with share.lock:
            over = not share.since <= now < share.until
            # Who is over the limit is refused from memory: a flood must not become one of the database.
            if over or (share.left == 0 and not share.none_left):
                self._ask(share, api_key_id, now)
            if share.left == 0:
                refusal = TooManyRequests(
                    f"this API key has sent its {self.per_minute} requests of this minute",
                    next_step="Send the request again after the time in Retry-After.",
                )
                refusal.retry_after_s = max(1, round((share.until - now).total_seconds()))
                raise refusal
            share.left -= 1

    def _share_of(self, api_key_id: str, now: datetime) -> _Share:
        with self._lock:
            share = self._shares.get(api_key_id)
            if share is None:
                if len(self._shares) >= self._full:
                    self._shares = {k: s for k, s in self._shares.items() if s.since <= now < s.until}
                    self._full = max(REMEMBERED, 2 * len(self._shares))
                share = self._shares[api_key_id] = _Share(now, now)
            return share

    def _ask(self, share: _Share, api_key_id: str, now: datetime) -> None:
        wanted = max(1, self.per_minute // SHARES)
        with self.on.database.transaction() as tx:
            granted, until = tx.limits.take_requests(
                api_key_id, wanted, limit=self.per_minute, window=WINDOW, now=now
            )
        share.since, share.until, share.left, share.none_left = now, until, granted, granted == 0

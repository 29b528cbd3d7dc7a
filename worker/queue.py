"""The port ``JobQueue`` on Celery: the only place that publishes."""

from __future__ import annotations

import threading
from typing import Final

import redis
from celery import Celery
from kombu.exceptions import KombuError

from recon_service.application.errors import StorageUnavailable
from recon_service.application.records.operations import Lane

ENROLL: Final = "recon.enroll"
WAKE: Final = "recon.wake"
BROKER_LIMIT_S: Final = 3.0


class CeleryQueue:
    """See ``ports.JobQueue``."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self.bell = threading.Event()
        """Set when something waits in the outbox."""

    def ring(self) -> None:
        """Wake the relay of this process; those of others look by themselves."""
        self.bell.set()

    def publish_enrollment(self, operation_id: str, lane: Lane) -> None:
        """Once, without retries: the outbox keeps what could not be published. Raises StorageUnavailable."""
        try:
            self._app.send_task(ENROLL, args=[operation_id], queue=lane.value, retry=False)
        except (KombuError, redis.RedisError, OSError) as fault:
            raise StorageUnavailable(
                "the queue does not answer", next_step="Start it, or correct RECON_BROKER_URL."
            ) from fault

    def waiting(self) -> int | None:
        """Messages in Redis that no worker has taken; None for other brokers. Raises StorageUnavailable."""
        url = str(self._app.conf.broker_url)
        if not url.startswith(("redis://", "rediss://")):
            return None
        try:
            with redis.Redis.from_url(
                url, socket_timeout=BROKER_LIMIT_S, socket_connect_timeout=BROKER_LIMIT_S
            ) as client:
                return sum(int(client.llen(lane.value)) for lane in Lane)
        except (redis.RedisError, OSError) as fault:
            raise StorageUnavailable(
                "the queue does not answer", next_step="Start it, or correct RECON_BROKER_URL."
            ) from fault

    def check(self) -> None:
        """Raises StorageUnavailable unless the broker answers."""
        self.waiting()

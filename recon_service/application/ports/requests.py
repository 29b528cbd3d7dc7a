"""What holds for requests: who may ask, how often, and whether it was asked before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from recon_service.application.records.access import ApiKey, FailureCounter, FailureKind


class IdempotencyState(StrEnum):
    """What a reservation of an Idempotency-Key met."""

    NEW = "new"
    IN_FLIGHT = "in-flight"
    REPLAY = "replay"
    OTHER_CONTENT = "other-content"


@dataclass(frozen=True, slots=True)
class Reservation:
    """state NEW: go on, and complete or release it. REPLAY: the operation that the first request made, and
    what was answered (encrypted for the subject); None: kept by a version that did not keep answers. since:
    the moment of a NEW one, by which its holder is known: another can only have taken it minutes later.
    """

    state: IdempotencyState
    operation_id: str | None = None
    answer: bytes | None = None
    since: datetime | None = None


class Idempotency(Protocol):
    """Which request each Idempotency-Key stands for, per API key."""

    def reserve(
        self, *, api_key_id: str, key: str, digest: str, subject_id: str, now: datetime
    ) -> Reservation: ...

    def complete(
        self,
        *,
        api_key_id: str,
        key: str,
        since: datetime | None,
        operation_id: str,
        answer: bytes | None = None,
    ) -> bool:
        """False: the reservation of that moment is not there any more, another request may have its place."""
        ...

    def release(self, *, api_key_id: str, key: str, since: datetime | None) -> None:
        """The request failed: the key may be used again, unless another request has it already."""
        ...

    def expire(self, *, now: datetime, limit: int) -> int:
        """Drop a page of what is older than a day; how many."""
        ...

    def release_in_flight(self) -> int:
        """Drop the reservations that no living process can complete; how many."""
        ...


class ApiKeys(Protocol):
    """API keys without their secrets."""

    def add(self, key: ApiKey) -> None: ...

    def get(self, key_id: str) -> ApiKey | None: ...

    def all(self) -> list[ApiKey]: ...

    def revoke(self, key_id: str, *, now: datetime) -> bool: ...


class Limits(Protocol):
    """Counters that hold for all processes together."""

    def take_requests(
        self, name: str, count: int, *, limit: int, window: timedelta, now: datetime
    ) -> tuple[int, datetime]:
        """Up to ``count`` requests of the current window; how many are granted, and when it ends."""
        ...

    def failures(self, kind: FailureKind, name: str, *, now: datetime) -> FailureCounter:
        """Locked until the transaction ends."""
        ...

    def set_failures(self, counter: FailureCounter) -> None: ...

    def locked(self, *, now: datetime) -> list[FailureCounter]: ...

    def forget(self, *, before: datetime, limit: int) -> int: ...

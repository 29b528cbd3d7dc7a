"""What the service tells others by itself: events, who wants them, and how far their delivery is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from recon_service.application.records.identifiers import new_id
from recon_service.domain.errors import InvalidValue

MAX_FIELDS = 24


class EventKind(StrEnum):
    """What may be told. ping: nothing happened, somebody wants to see whether it arrives."""

    OPERATION_ENDED = "operation.ended"
    BATCH_ENDED = "batch.ended"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. about: ids, states, codes and counts, nothing biometric and nobody's name;
    whoever wants more asks the API with a key of theirs. event_id is the same in every delivery of it.
    """

    kind: EventKind
    about: Mapping[str, str | int | float | bool | None]
    event_id: str = field(default_factory=lambda: new_id("evt"))

    def __post_init__(self) -> None:
        if len(self.about) > MAX_FIELDS:
            raise InvalidValue(f"an event says at most {MAX_FIELDS} things")
        for name, value in self.about.items():
            if isinstance(value, str) and len(value) > 200:
                raise InvalidValue(f"{name} of an event is longer than 200 characters")


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An address that events are sent to. sealed_secret: signs what is sent there, encrypted. created_by: id
    of an API key.
    """

    endpoint_id: str
    url: str
    kinds: frozenset[EventKind]
    sealed_secret: bytes = field(repr=False)
    created_at: datetime
    created_by: str


class DeliveryState(StrEnum):
    """waiting: for its (next) attempt. dead: given up after the last one; it may be sent again by hand."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. body: the exact bytes that are signed and sent, JSON. due_at: not
    before; while it is being sent, the moment at which its sender is taken for dead. status: of the last
    answer, 0 where there was none. fault: code of what went wrong in the last attempt.
    """

    delivery_id: str
    endpoint_id: str
    event_id: str
    kind: EventKind
    body: str
    created_at: datetime
    due_at: datetime
    attempts: int = 0
    state: DeliveryState = DeliveryState.WAITING
    status: int = 0
    fault: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookState:
    """How the deliveries stand altogether. oldest: since when the first of those that wait exists."""

    waiting: int = 0
    dead: int = 0
    oldest: datetime | None = None

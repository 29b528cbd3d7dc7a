"""What the routers work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from recon_service.application.ports import Compute, JobQueue, Stores
from recon_service.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that a request may need.

    development_keys: whether keys that the service made itself are honored (on the loopback interface only).
    checks: name -> a function that raises what is wrong with that part; for ``/readyz``.
    """

    settings: Settings
    stores: Stores
    compute: Compute
    queue: JobQueue
    development_keys: bool
    checks: dict[str, Callable[[], None]]


def service_of(request: Request) -> Service:
    """The service that the application was made with."""
    service: Service = request.app.state.service
    return service

"""What the routers work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Request

from recon_service.application.enrolling.consents import ConsentPolicy
from recon_service.application.keeping.rates import RequestLimiter
from recon_service.application.ports.compute import Compute
from recon_service.application.ports.queue import JobQueue
from recon_service.application.ports.stores import Stores
from recon_service.application.records.evaluations import EvaluationSet
from recon_service.application.records.probes import ProbePolicy
from recon_service.application.verifying.attempts import LockoutPolicy
from recon_service.application.verifying.kiosk_sessions import KioskPolicy
from recon_service.application.verifying.strengthening_keeping import StrengtheningLimits
from recon_service.service_policies import consent_policy
from recon_service.settings import Settings
from recon_service.telemetry.bundle import Telemetry

if TYPE_CHECKING:  # the API process loads it only where it searches
    from recon_service.application.edge.bundles import EdgeIssuer
    from recon_service.application.searching.identification import Identifier


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that a request may need.

    development_keys: whether keys that the service made itself are honored (on the loopback interface only).
    checks: name -> a function that raises what is wrong with that part; for ``/readyz``. identifier: searches
    among all; edge: makes bundles for kiosks; None: that is switched off.
    """

    settings: Settings
    stores: Stores
    compute: Compute
    queue: JobQueue
    development_keys: bool
    checks: dict[str, Callable[[], None]]
    telemetry: Telemetry = field(default_factory=Telemetry)
    identifier: Identifier | None = None
    edge: EdgeIssuer | None = None
    limiter: RequestLimiter = field(init=False)
    capture_limiter: RequestLimiter = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limiter", RequestLimiter(self.settings.requests_per_minute, self.stores))
        of_a_page = RequestLimiter(self.settings.capture_requests_per_minute, self.stores)
        object.__setattr__(self, "capture_limiter", of_a_page)

    @property
    def lockouts(self) -> LockoutPolicy:
        """When subjects and API keys are locked out."""
        settings = self.settings
        return LockoutPolicy(
            subject=settings.lockout_subject_failures,
            api_key=settings.lockout_key_failures,
            identification=settings.lockout_identification_failures,
            window=timedelta(seconds=settings.lockout_window_seconds),
            duration=timedelta(seconds=settings.lockout_seconds),
        )

    @property
    def strengthening(self) -> StrengtheningLimits:
        """How often visits may change a subject's template."""
        return StrengtheningLimits(per_day=self.settings.strengthenings_per_day)

    @property
    def evaluation_sets(self) -> tuple[EvaluationSet, ...]:
        """That batches may be evaluated on."""
        simulated = (EvaluationSet.SIMULATED,) if self.settings.evaluation_people > 1 else ()
        return (*simulated, EvaluationSet.REAL) if self.settings.evaluation_set else simulated

    @property
    def probes(self) -> ProbePolicy:
        """How many recent probes of a subject are kept."""
        settings = self.settings
        lifetime = timedelta(days=settings.recent_probe_days)
        return ProbePolicy(settings.recent_probes, lifetime, settings.recent_refusals)

    @property
    def consent_policy(self) -> ConsentPolicy:
        """How long a consent lasts at most."""
        return consent_policy(self.settings)

    @property
    def kiosk_policy(self) -> KioskPolicy:
        """Whether and for how long kiosks have sessions."""
        settings = self.settings
        return KioskPolicy(
            required=settings.kiosk_sessions_required,
            lifetime=timedelta(seconds=settings.kiosk_session_seconds),
        )


def service_of(request: Request) -> Service:
    """The service that the application was made with."""
    service: Service = request.app.state.service
    return service

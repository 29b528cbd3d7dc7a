"""Every metric there is: name, kind, labels, and what it says. Dashboards and alerts are held against this
list by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

FAST: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 2.5, 5.0, 10.0)
SLOW: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Name:
    """first: label values that are there from the start, at 0. A series that begins with its first event
    shows no increase by it, and none at all says nothing to an alert. kept_elsewhere: not counted by the
    processes but read from the database when somebody asks.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    first: tuple[tuple[str, ...], ...] = ()
    kept_elsewhere: bool = False

    @property
    def series(self) -> tuple[str, ...]:
        """As Prometheus stores it."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (f"{self.name}_total",) if self.kind == "counter" else (self.name,)


REQUESTS = Name("recon_requests", "counter", "Requests to the API.", ("method", "route", "status"))
REQUEST_SECONDS = Name(
    "recon_request_seconds", "histogram", "From first byte to last of a request.", ("method", "route"), FAST
)
PROBLEMS = Name("recon_problems", "counter", "Requests that were refused or failed, by code.", ("code",))
ENROLLMENTS = Name("recon_enrollments", "counter", "Enrollments that ended.", ("lane", "state", "reason"))
ENROLLMENT_SECONDS = Name(
    "recon_enrollment_seconds", "histogram", "From acknowledgment to the end.", ("lane",), SLOW
)
ATTEMPTS = Name(
    "recon_enrollment_attempts",
    "counter",
    "Attempts: done, nothing-to-do, or a fault.",
    ("outcome",),
    first=(("done",), ("nothing-to-do",)),
)
SELFIES = Name("recon_selfies", "counter", "Selfies of enrollments, by reason.", ("verdict", "reason"))
STAGE_SECONDS = Name(
    "recon_stage_seconds", "histogram", "Stages of enrollment and verification.", ("work", "stage"), FAST
)
VERIFICATIONS = Name("recon_verifications", "counter", "Decisions.", ("decision", "policy"))
VERIFICATION_REASONS = Name(
    "recon_verification_reasons", "counter", "Reasons of decisions.", ("decision", "reason")
)
IDENTIFICATIONS = Name(
    "recon_identifications", "counter", "Searches among all who are enrolled.", ("decision", "policy")
)
PRESENTATIONS = Name(
    "recon_presentation_checks",
    "counter",
    "Checks of visits for artefacts: bona-fide, attack, not-checked.",
    ("work", "outcome"),
    first=tuple(product(("verification", "identification"), ("bona-fide", "attack", "not-checked"))),
)
CHILDREN = Name(
    "recon_compute_processes",
    "counter",
    "Compute processes: started, died, time-limit.",
    ("work", "event"),
    first=tuple(product(("enrollment", "verification", "batch"), ("started", "died", "time-limit"))),
)
SWEPT = Name(
    "recon_swept",
    "counter",
    "What the sweeper took up.",
    ("what",),
    first=(("requeued",), ("lost",), ("buried",), ("objects",), ("stale",)),
)
DELIVERIES = Name(
    "recon_webhook_deliveries",
    "counter",
    "Webhooks: delivered, failed (tried again), dead.",
    ("outcome",),
    first=(("delivered",), ("failed",), ("dead",)),
)
VERSIONS = Name(
    "recon_versions",
    "gauge",
    "1 for what the compute processes run.",
    ("work", "model", "calibration", "policy", "detector"),
)
REFERENCES = Name(
    "recon_references",
    "gauge",
    "References of the last search: searched, not-comparable, unreadable.",
    ("state",),
)
BUILD = Name("recon_build", "gauge", "1 for the version of the service.", ("version",))

DATABASE_UP = Name("recon_database_up", "gauge", "Whether the database answers.", kept_elsewhere=True)
QUEUE_WAITING = Name("recon_queue_waiting", "gauge", "Enrollments that wait.", ("lane",), kept_elsewhere=True)
QUEUE_RUNNING = Name("recon_queue_running", "gauge", "Enrollments under way.", ("lane",), kept_elsewhere=True)
QUEUE_UNPUBLISHED = Name(
    "recon_queue_unpublished",
    "gauge",
    "Of those that wait: not yet at the broker.",
    ("lane",),
    kept_elsewhere=True,
)
QUEUE_AGE = Name(
    "recon_queue_oldest_seconds",
    "gauge",
    "How long the enrollment has waited that waits longest.",
    ("lane",),
    kept_elsewhere=True,
)
DEAD = Name("recon_dead_operations", "gauge", "Enrollments given up, 500 at most.", kept_elsewhere=True)
WEBHOOKS_WAITING = Name("recon_webhooks_waiting", "gauge", "Deliveries that wait.", kept_elsewhere=True)
WEBHOOKS_AGE = Name(
    "recon_webhooks_oldest_seconds", "gauge", "Since when the oldest of them exists.", kept_elsewhere=True
)
WEBHOOKS_DEAD = Name("recon_webhooks_dead", "gauge", "Deliveries that were given up.", kept_elsewhere=True)
LOCKED_OUT = Name(
    "recon_locked_out", "gauge", "Subjects and API keys that are locked out.", ("kind",), kept_elsewhere=True
)
MEMORY = Name(
    "recon_resident_bytes",
    "gauge",
    "Memory of the service or worker: its first process (head) and all that it started (below).",
    ("part",),
    kept_elsewhere=True,
)

NAMES: Final = tuple(value for value in list(globals().values()) if isinstance(value, Name))

"""Real stores in a temporary folder, and a compute that gives what a test wants of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recon_service.application.errors import Overloaded, StorageUnavailable
from recon_service.application.ports.compute import Progress
from recon_service.application.ports.stores import Stores
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.operations import EnrollmentOutcome, Lane, SelfieReport
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.bootstrap import OpenStores, open_stores
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.domain.template import Template
from tests.stacks import Stack, settings_for

GOOD = SelfieReport(True, QualityReport((QualityMeasure("sharpness", 1.0, "", 80.0, Verdict.GOOD),)))
POSTERIOR = IdentityPosterior("space", np.array([0.5, -0.25]), np.array([[0.5, 0.1], [0.1, 0.4]]))
OUTCOME = EnrollmentOutcome(
    (GOOD,), POSTERIOR, source="facemesh468", backend="facemesh", model="model", calibration="table"
)


def open_in(folder: Path, stack: Stack) -> OpenStores:
    return open_stores(settings_for(stack, folder))


@dataclass
class ListQueue:
    """Remembers what was published. down: the broker does not answer."""

    published: list[str] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    rung: int = 0
    down: bool = False
    depth: int | None = None

    def ring(self) -> None:
        self.rung += 1

    def publish_enrollment(self, operation_id: str, lane: Lane) -> None:
        if self.down:
            raise StorageUnavailable("the queue does not answer")
        self.published.append(operation_id)
        self.lanes.append(lane)

    def waiting(self) -> int | None:
        if self.down:
            raise StorageUnavailable("the queue does not answer")
        return self.depth


@dataclass
class ScriptedCompute:
    """Stands where the pipeline would: the states of a job are tested here, the pipeline elsewhere."""

    script: Callable[[Sequence[bytes]], EnrollmentOutcome] = lambda _selfies: OUTCOME
    seen: list[tuple[bytes, ...]] = field(default_factory=list)
    backends: list[str] = field(default_factory=list)

    def reconstruct(
        self, selfies: Sequence[bytes], progress: Progress, *, backend: str = "facemesh"
    ) -> EnrollmentOutcome:
        self.backends.append(backend)
        self.seen.append(tuple(selfies))
        progress("fitting", 0.5)
        return self.script(selfies)

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]:
        raise Overloaded("this compute only reconstructs")

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        raise Overloaded("this compute only reconstructs")

    def picture(self, template: Template) -> bytes:
        raise Overloaded("this compute only reconstructs")

    def inspect(self, template: Template, selfies: Sequence[bytes], visit: KioskVisit | None) -> Inspection:
        raise Overloaded("this compute only reconstructs")

    def mesh(self, template: Template) -> bytes:
        raise Overloaded("this compute only reconstructs")


def object_count(stores: Stores) -> int:
    """Without tombstones, which outlive their subjects."""
    return len(list(stores.objects.list_keys("selfies/")))

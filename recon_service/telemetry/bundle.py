"""Metrics and traces of one process together, as they are handed around."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recon_service.application.ports.compute import Compute
from recon_service.settings import Settings
from recon_service.telemetry.metrics import Metrics
from recon_service.telemetry.observed import ObservedCompute, ObservedIndex
from recon_service.telemetry.traces import NoTraces, Traces, open_traces

if TYPE_CHECKING:  # loaded only where somebody searches
    from recon_service.application.searching.identification import Identifier


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a process has to be seen by. By default: counted, shown to nobody, not traced."""

    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = field(default_factory=NoTraces)

    def observed(self, compute: Compute) -> ObservedCompute:
        """The same compute, seen."""
        return ObservedCompute(compute, self.metrics, self.traces)

    def searching(self, identifier: Identifier | None) -> Identifier | None:
        """The same search, seen; None where there is none."""
        if identifier is None:
            return None
        return replace(identifier, index=ObservedIndex(identifier.index, self.metrics, self.traces))


def open_telemetry(settings: Settings, *, role: str, folder: Path | None = None) -> Telemetry:
    """By the settings. folder: where the processes of one worker keep their numbers together. Raises
    TracingUnavailable.
    """
    return Telemetry(Metrics(folder=folder), open_traces(settings, role=role))

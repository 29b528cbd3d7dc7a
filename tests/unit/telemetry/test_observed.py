"""What is computed and searched for an identification is seen as a verification is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from recon_service.application.ports.compute import Compute
from recon_service.application.records.identifications import ObservedVisit
from recon_service.application.records.visits import KioskVisit
from recon_service.bootstrap import open_stores
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.presentation import PresentationMeasure, PresentationResult
from recon_service.search.memory_index import MemoryIndex
from recon_service.telemetry.metrics import Metrics
from recon_service.telemetry.observed import ObservedCompute, ObservedIndex
from recon_service.telemetry.traces import NoTraces, OtelTraces
from tests.integration.running import eventually
from tests.references import MODES, enroll, probe, small_calibration
from tests.servers.otlp_receiver import OtlpReceiver
from tests.stacks import Embedded, settings_for

VISIT = KioskVisit((b"d", b"d"), PinholeCamera(4, 4, 4.0, 4.0, 1.5, 1.5))
SEEN = ObservedVisit(
    None, "kinect2", 0, (), PresentationResult(()), None, "c@1", {"decode": 4.0, "fit": 20.0}
)


class Observing:
    def __init__(self, *seen: ObservedVisit) -> None:
        self.seen = list(seen)

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        return self.seen.pop()


def found(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_an_identification_is_timed_traced_and_its_attacks_are_counted() -> None:
    attack = PresentationResult((PresentationMeasure("relief", 1.0, "mm", 4.0, 0.1, "flat"),))
    genuine = PresentationResult((PresentationMeasure("relief", 9.0, "mm", 4.0, 0.9, ""),))
    seen = [SEEN, replace(SEEN, presentation=attack), replace(SEEN, presentation=genuine)]
    metrics = Metrics()
    with OtlpReceiver() as receiver:
        traces = OtelTraces(receiver.endpoint, role="api", headers={})
        compute = ObservedCompute(cast(Compute, Observing(*seen)), metrics, traces)
        for _ in range(3):
            compute.observe(VISIT)
        traces.close()
        assert eventually(lambda: len(receiver.spans) == 9)
        spans = {span.name: span for span in receiver.spans}
        assert set(spans) == {"compute.observe", "decode", "fit"}
        (parent,) = (s for s in receiver.spans if s.span_id == spans["fit"].parent_id)
        assert parent.name == "compute.observe"
    said = found(metrics)
    for outcome in ("attack", "bona-fide", "not-checked"):
        assert said["recon_presentation_checks_total", outcome, "identification"] == 1, outcome
        assert said["recon_presentation_checks_total", outcome, "verification"] == 0
    assert said["recon_stage_seconds_count", "total", "identification"] == 3
    assert said["recon_stage_seconds_sum", "fit", "identification"] == pytest.approx(0.06)


def test_a_search_is_timed_and_says_whom_it_could_not_look_at(tmp_path: Path) -> None:
    opened = open_stores(settings_for(Embedded(), tmp_path))
    for n in range(3):
        enroll(f"person-{n}", np.full(MODES, float(n)), opened.stores)
    enroll("of-another-model", np.ones(MODES), opened.stores, space="another")
    with opened.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE templates SET sealed = x'00' WHERE subject_id = 'person-1'")
    metrics = Metrics()
    index = ObservedIndex(MemoryIndex(opened.stores, small_calibration()), metrics, NoTraces())
    structlog.reset_defaults()  # another test may have asked for errors alone
    with capture_logs() as log:
        for _ in range(2):
            index.search(probe(np.ones(MODES)), count=1, least_llr=-np.inf)
    said = found(metrics)
    assert said["recon_stage_seconds_count", "total", "search"] == 2
    assert {
        state: said["recon_references", state] for state in ("searched", "not-comparable", "unreadable")
    } == {
        "searched": 2,
        "not-comparable": 1,
        "unreadable": 1,
    }
    events = [line["event"] for line in log]
    assert events.count("references cannot be opened") == 1, "said once"
    index.close()
    opened.close()

"""What operators see of a running service and its worker: one trace from the request to the compute process,
and numbers of all processes together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from recon_service.telemetry.names import NAMES
from tests.integration.captures import depth_of, png16, verify
from tests.integration.running import Server, enroll, eventually, portrait_jpeg, selfies, wait_for_end
from tests.servers.otlp_receiver import OtlpReceiver
from tests.servers.processes import free_port
from tests.stacks import STACKS, make_stack

TOKEN = "a-token-of-the-tests-0123456789"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SUBJECT = "user-telemetry-77"
KEPT_ELSEWHERE = {name.name for name in NAMES if name.kept_elsewhere}

Sample = tuple[str, tuple[tuple[str, str], ...]]


def numbers(port: int) -> dict[Sample, float]:
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def total(found: dict[Sample, float], name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (series, has), value in found.items() if series == name and wanted <= set(has))


@dataclass
class Watched:
    server: Server
    receiver: OtlpReceiver
    port: int
    worker_port: int
    """The same process answers for both in the embedded service."""

    def log(self) -> list[dict[str, object]]:
        lines = self.server.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module", params=STACKS)
def watched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with make_stack(request.param, request) as stack, OtlpReceiver() as receiver:
        port, worker_port = free_port(), free_port()
        settings = {
            "RECON_METRICS_PORT": str(port),
            "RECON_METRICS_TOKEN": TOKEN,
            "RECON_TRACES_ENDPOINT": receiver.endpoint,
            "RECON_TRACES_HEADERS": "x-tenant=recon-tests",
            "RECON_LOG_FORMAT": "json",
            "RECON_LOG_LEVEL": "debug",
            "RECON_KIOSK_SESSIONS": "optional",
            **stack.environment(),
        }
        folder = tmp_path_factory.mktemp("watched")
        server = Server(folder / "state", settings)
        if server.crew:
            server.start_api()
            server.settings = {**settings, "RECON_METRICS_PORT": str(worker_port)}
            server.crew[0].start()
        else:
            server.start()
            worker_port = port
        try:
            yield Watched(server, receiver, port, worker_port)
        finally:
            server.stop()


@pytest.fixture(scope="module")
def enrolled(watched: Watched) -> Watched:
    """One enrollment that succeeded, within a trace of the caller's; one picture that nobody can read."""
    with watched.server.client() as client:
        answer = client.post(
            f"/v1/subjects/{SUBJECT}/enrollments",
            files=selfies(portrait_jpeg("astronaut")),
            data={"consent_id": "consent-1"},
            headers={"traceparent": TRACEPARENT, "X-Request-ID": "request-of-the-test"},
        )
        assert wait_for_end(client, answer.headers["location"])["state"] == "succeeded"
        unreadable = enroll(client, "user-unreadable", b"no picture")
        assert unreadable["state"] == "rejected", unreadable
        frames = [png16(depth_of(client, SUBJECT, yaw=yaw)) for yaw in (0.0, 5.0)]
        assert verify(client, SUBJECT, *frames).status_code == 200
        assert verify(client, "user-unknown", *frames).status_code == 404
        assert verify(client, SUBJECT, png16(np.zeros((480, 640)))).json()["decision"] == "INCONCLUSIVE"
    return watched


def test_one_trace_leads_from_the_request_to_the_stages_in_the_worker(enrolled: Watched) -> None:
    wanted = {"request", "enrollment", "reconstruct", "decoding", "fitting", "storing"}
    assert eventually(lambda: wanted <= {s.name for s in enrolled.receiver.of(TRACE)}, limit_s=30.0)
    # A message may come twice; the second finds nothing to do, and is a span without a state.
    found = [s for s in enrolled.receiver.of(TRACE) if not s.attributes.get("recon.nothing_to_do")]
    spans = {s.name: s for s in found}
    assert len(spans) == len(found)
    assert spans["request"].parent_id == "00f067aa0ba902b7"
    assert spans["enrollment"].parent_id == spans["request"].span_id, "through the row of the operation"
    assert spans["reconstruct"].parent_id == spans["enrollment"].span_id
    for stage in ("decoding", "fitting", "storing"):
        assert spans[stage].parent_id == spans["reconstruct"].span_id
        assert spans["reconstruct"].begun <= spans[stage].begun <= spans[stage].ended
    assert spans["enrollment"].attributes["recon.state"] == "succeeded"
    assert spans["request"].attributes["recon.route"] == "/v1/subjects/{subject_id}/enrollments"
    worker = "recon-worker" if enrolled.server.crew else "recon-api"
    assert (spans["request"].service, spans["enrollment"].service) == ("recon-api", worker)
    assert enrolled.receiver.headers[0]["x-tenant"] == "recon-tests"


def test_verifications_are_spans_with_their_stages(enrolled: Watched) -> None:
    def roots() -> list[str]:
        return [s.trace_id for s in enrolled.receiver.spans if s.name == "compute.verify"]

    assert eventually(lambda: len(roots()) == 2)
    names = {s.name for s in enrolled.receiver.of(roots()[0])}
    assert names >= {"request", "compute.verify", "decode", "fit_and_compare"}
    for span in enrolled.receiver.spans:
        said = json.dumps([span.name, span.attributes])
        assert SUBJECT not in said
        assert "score" not in said


def test_log_lines_of_every_process_carry_the_trace(enrolled: Watched) -> None:
    lines = [line for line in enrolled.log() if line.get("trace_id") == TRACE]
    events = [str(line["event"]) for line in lines]
    assert {"request", "computed", "enrollment ended"} <= set(events), events
    (request,) = (line for line in lines if line["event"] == "request")
    (computed,) = (line for line in lines if line["event"] == "computed")
    (ended,) = (line for line in lines if line["event"] == "enrollment ended")
    assert request["request_id"] == "request-of-the-test"
    assert str(computed["operation_id"]) == ended["operation_id"], "the compute process knows for whom"


def test_numbers_of_all_processes(enrolled: Watched) -> None:
    api, worker = numbers(enrolled.port), numbers(enrolled.worker_port)
    assert total(worker, "recon_enrollments_total", state="succeeded", lane="interactive") == 1
    assert total(worker, "recon_enrollments_total", state="rejected") == 1
    assert total(worker, "recon_enrollment_attempts_total", outcome="done") == 2
    assert total(worker, "recon_enrollment_seconds_count") == 2
    assert total(worker, "recon_stage_seconds_count", work="enrollment", stage="fitting") == 2
    assert total(worker, "recon_selfies_total", verdict="accepted") == 1
    assert total(worker, "recon_selfies_total", verdict="rejected", reason="image-unknown-format") == 1
    assert total(worker, "recon_compute_processes_total", work="enrollment", event="started") == 1
    assert total(api, "recon_requests_total", status="202") == 2
    assert total(api, "recon_problems_total", code="not-found") == 1
    assert total(api, "recon_verifications_total") == 2
    assert total(api, "recon_verifications_total", decision="INCONCLUSIVE", policy="pilot-1") >= 1
    assert total(api, "recon_verification_reasons_total", decision="INCONCLUSIVE") >= 1
    assert total(api, "recon_presentation_checks_total") == 2
    assert total(api, "recon_stage_seconds_count", work="verification", stage="total") == 2
    for found, work in ((api, "verification"), (worker, "enrollment")):
        (versions,) = (
            dict(has)
            for (name, has), v in found.items()
            if name == "recon_versions" and v and ("work", work) in has
        )
        assert "@" in versions["calibration"], "by name and digest"
        assert versions["model"]
        assert versions["policy"] == "pilot-1"
        assert total(found, "recon_database_up") == 1
        assert total(found, "recon_queue_oldest_seconds", lane="interactive") == 0
        assert total(found, "recon_resident_bytes", part="head") > 50e6
        assert total(found, "recon_resident_bytes", part="below") > 50e6


def test_labels_take_few_values_and_name_nobody(enrolled: Watched) -> None:
    series = list(numbers(enrolled.port)) + list(numbers(enrolled.worker_port))
    text = json.dumps(series)
    for secret in (SUBJECT, "user-unreadable", enrolled.server.key.split("_")[1], "op_", "consent-1"):
        assert secret not in text
    assert len(series) < 2500
    known = {one for name in NAMES for one in name.series}
    assert {name for name, _ in series if not name.endswith("_created")} <= known


def test_without_the_token_nobody_reads_them(enrolled: Watched) -> None:
    for port in {enrolled.port, enrolled.worker_port}:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers)
            assert (answer.status_code, "recon_" in answer.text) == (401, False)
    with enrolled.server.client() as client:
        assert client.get("/metrics").status_code == 404, "not on the port of the API"


def test_a_worker_counts_on_when_its_processes_are_replaced(enrolled: Watched) -> None:
    if not enrolled.server.crew:
        pytest.skip("the embedded worker is a thread of the service")
    before = numbers(enrolled.worker_port)
    victims = [
        part
        for part in enrolled.server.crew[0].parts()[1:]
        if any(name in part.cmdline() for name in ("worker.child", "worker.housekeeping"))
    ]
    assert len(victims) >= 2
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=10)
    with enrolled.server.client() as client:
        enroll(client, "user-afterwards", portrait_jpeg("astronaut"))

    def counted() -> bool:
        try:
            after = numbers(enrolled.worker_port)
        except httpx.HTTPError:
            return False  # whoever answers is being started again
        return total(after, "recon_enrollments_total") == total(before, "recon_enrollments_total") + 1

    assert eventually(counted, limit_s=60.0)
    after = numbers(enrolled.worker_port)
    assert total(after, "recon_compute_processes_total", work="enrollment", event="died") == 1
    assert total(after, "recon_compute_processes_total", work="enrollment", event="started") == 2

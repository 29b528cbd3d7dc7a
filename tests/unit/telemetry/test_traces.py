from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from recon_service.domain.errors import NotFound
from recon_service.settings import Settings
from recon_service.telemetry.context import TraceContext
from recon_service.telemetry.traces import NoTraces, OtelTraces, open_traces
from tests.servers.otlp_receiver import OtlpReceiver


def test_off_unless_an_endpoint_is_named() -> None:
    assert isinstance(open_traces(Settings(), role="api"), NoTraces)


def test_faults_are_named_by_their_code_and_never_by_their_text() -> None:
    with OtlpReceiver() as receiver:
        traces = open_traces(Settings(traces_endpoint=receiver.endpoint), role="api")
        with pytest.raises(NotFound), traces.span("known"):
            raise NotFound("there is no subject user-8c41")
        with pytest.raises(ValueError, match="8c41"), traces.span("unforeseen"):
            raise ValueError("user-8c41")
        traces.close()
        assert {s.name: s.failed for s in receiver.spans} == {
            "known": "not-found",
            "unforeseen": "ValueError",
        }
        assert "8c41" not in repr(receiver.spans)


def test_a_ratio_keeps_whole_traces_and_a_caller_decides_for_its_own() -> None:
    with OtlpReceiver() as receiver:
        traces = open_traces(Settings(traces_endpoint=receiver.endpoint, traces_ratio=0.0), role="api")
        with traces.span("mine") as outer, traces.span("mine too") as inner:
            assert not outer.context.sampled
            assert inner.context.trace_id == outer.context.trace_id
        with traces.span("asked for", parent=TraceContext.new()):
            pass
        with traces.span("not wanted", parent=TraceContext("1" * 32, "2" * 16, sampled=False)):
            pass
        traces.close()
        assert [s.name for s in receiver.spans] == ["asked for"]


def test_a_collector_that_is_away_stops_nobody() -> None:
    traces = open_traces(Settings(traces_endpoint="http://127.0.0.1:9/v1/traces"), role="api")
    with traces.span("work") as span:
        span.set(done=True)


def test_without_the_packages_it_is_said_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "sys.modules['opentelemetry.exporter'] = None\n"
        "from recon_service.settings import Settings\n"
        "from recon_service.telemetry.traces import open_traces, TracingUnavailable\n"
        "open_traces(Settings(), role='api')\n"
        "try:\n"
        "    open_traces(Settings(traces_endpoint='http://localhost:4318/v1/traces'), role='api')\n"
        "except TracingUnavailable as fault:\n"
        "    print(fault.next_step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "otel" in done.stdout


def test_a_collector_that_hangs_does_not_keep_a_process_from_stopping() -> None:
    """It takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        traces = OtelTraces(f"http://127.0.0.1:{port}/v1/traces", role="api", headers={}, close_s=0.1)
        for _ in range(600):
            with traces.span("request", kind="server"):
                pass
        closing = threading.Thread(target=traces.close, daemon=True)
        closing.start()
        closing.join(8)  # its deliveries alone would take twenty seconds
        assert not closing.is_alive()

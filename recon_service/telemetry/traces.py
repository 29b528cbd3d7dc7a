"""Spans: what took how long within one trace. Off until an OTLP endpoint is named; the ids run through the
logs all the same.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from recon_service import __version__
from recon_service.domain.errors import CallerError, ReconError
from recon_service.settings import Settings
from recon_service.telemetry.context import TraceContext, current

Value = str | int | float | bool
EXPORT_S: Final = 10
"""Time limit of one delivery to the collector."""
CLOSE_S: Final = 5.0
"""What is left is sent at the end for so long: a collector that hangs must not use up the time in which a
process has to stop.
"""


class TracingUnavailable(CallerError):
    """Traces were asked for and the packages for them are not installed."""

    code = "tracing-unavailable"
    title = "Traces cannot be sent"


@dataclass(slots=True)
class Span:
    """A span under way. context: its place, for what goes on elsewhere."""

    context: TraceContext
    attributes: dict[str, Value] = field(default_factory=dict)

    def set(self, **attributes: Value) -> None:
        """Say more about it. Names and values are bounded and nobody's: codes, counts, states."""
        self.attributes.update(attributes)


class Traces(Protocol):
    """Where spans go."""

    def span(self, name: str, *, parent: TraceContext | None = None, kind: str = "internal") -> Any:
        """A context manager that gives a ``Span``. parent: else the one that the thread works in, else none.
        kind: server, consumer or internal.
        """
        ...

    def add(self, name: str, begun_ns: int, ended_ns: int, **attributes: Value) -> None:
        """A span that is over already, within the one that the thread works in."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class NoTraces:
    """Gives contexts and keeps nothing."""

    @contextmanager
    def span(
        self, name: str, *, parent: TraceContext | None = None, kind: str = "internal"
    ) -> Iterator[Span]:
        """Ids alone."""
        above = parent or current()
        span = Span(above.child() if above else TraceContext.new())
        with _bound(span.context):
            yield span

    def add(self, name: str, begun_ns: int, ended_ns: int, **attributes: Value) -> None:
        """Not kept."""

    def close(self) -> None:
        """Nothing to send."""


class OtelTraces:
    """Through the OpenTelemetry SDK to a collector, in batches, beside the work."""

    def __init__(
        self,
        endpoint: str,
        *,
        role: str,
        ratio: float = 1.0,
        headers: Mapping[str, str],
        close_s: float = CLOSE_S,
    ) -> None:
        """role: api, worker or housekeeping. ratio: share of the traces that begin here and are kept."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import SpanLimits, TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ImportError as fault:
            raise TracingUnavailable(
                "RECON_TRACES_ENDPOINT is set and OpenTelemetry is not installed",
                next_step="Install the extra 'otel': pip install 'recon-service[otel]'.",
            ) from fault
        self._close_s = close_s
        resource = Resource(
            {
                "service.name": f"recon-{role}",
                "service.version": __version__,
                "process.pid": os.getpid(),
            }
        )
        self._provider = TracerProvider(
            resource=resource,
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            span_limits=SpanLimits(max_span_attributes=32, max_attribute_length=200),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=EXPORT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("recon_service", __version__)

    @contextmanager
    def span(
        self, name: str, *, parent: TraceContext | None = None, kind: str = "internal"
    ) -> Iterator[Span]:
        """A real span; an exception that leaves the block marks it by type or code, never by its text."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        made = self._tracer.start_span(
            name, context=_otel_context(parent or current()), kind=SpanKind[kind.upper()]
        )
        context = made.get_span_context()
        span = Span(
            TraceContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled)
        )
        try:
            with _bound(span.context):
                yield span
        except Exception as fault:
            code = fault.code if isinstance(fault, ReconError) else type(fault).__name__
            made.set_status(Status(StatusCode.ERROR, code))
            raise
        finally:
            made.set_attributes({f"recon.{k}": v for k, v in span.attributes.items()})
            made.end()

    def add(self, name: str, begun_ns: int, ended_ns: int, **attributes: Value) -> None:
        """With the times that are given."""
        made = self._tracer.start_span(name, context=_otel_context(current()), start_time=begun_ns)
        made.set_attributes({f"recon.{k}": v for k, v in attributes.items()})
        made.end(end_time=ended_ns)

    def close(self) -> None:
        """Send what is left, for a while."""
        closing = threading.Thread(target=self._provider.shutdown, name="recon-traces", daemon=True)
        closing.start()
        closing.join(self._close_s)


def open_traces(settings: Settings, *, role: str) -> Traces:
    """What the settings ask for. Raises TracingUnavailable."""
    if not settings.traces_endpoint:
        return NoTraces()
    secret = settings.traces_headers.get_secret_value() if settings.traces_headers else ""
    headers = dict(pair.split("=", 1) for pair in secret.split(",") if "=" in pair)
    return OtelTraces(settings.traces_endpoint, role=role, ratio=settings.traces_ratio, headers=headers)


@contextmanager
def _bound(context: TraceContext) -> Iterator[None]:
    fields = {"trace_id": context.trace_id, "span_id": context.span_id}
    # Only where it differs from the rule: a line of the log need not say it every time.
    more = {} if context.sampled else {"sampled": False}
    with structlog.contextvars.bound_contextvars(**fields, **more):
        yield


def _otel_context(parent: TraceContext | None) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if parent is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    above = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(above), Context())

from __future__ import annotations

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from recon_service.telemetry.context import TraceContext, bound, carried, current
from recon_service.telemetry.traces import NoTraces

GOOD = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_example_of_the_standard() -> None:
    found = TraceContext.parse(GOOD)
    assert found == TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", True)
    assert found.header == GOOD
    unsampled = TraceContext.parse(GOOD[:-2] + "00")
    assert unsampled is not None
    assert not unsampled.sampled
    future = TraceContext.parse("cc" + GOOD[2:] + "-what-the-future-will-be")
    assert future == found, "a newer version is read as far as it is known"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        GOOD.upper(),
        GOOD + "-more",
        "ff" + GOOD[2:],
        GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        GOOD.replace("00f067aa0ba902b7", "0" * 16),
        GOOD + "\nX: y",
        "x" * 100_000,
    ],
)
def test_what_is_none_begins_a_new_trace(header: str) -> None:
    assert TraceContext.parse(header) is None


@given(st.text(max_size=80))
def test_whatever_comes_is_read_or_not_and_never_fails(header: str) -> None:
    found = TraceContext.parse(header)
    assert found is None or TraceContext.parse(found.header) == found


def test_spans_nest_and_leave_no_trace_behind() -> None:
    structlog.contextvars.clear_contextvars()
    traces = NoTraces()
    parent = TraceContext.parse(GOOD)
    with bound(operation_id="op_1"), traces.span("outer", parent=parent) as outer:
        with traces.span("inner") as inner:
            assert current() == inner.context
            assert carried() == {
                "trace_id": inner.context.trace_id,
                "span_id": inner.context.span_id,
                "operation_id": "op_1",
            }
        assert current() == outer.context
    assert inner.context.trace_id == outer.context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert inner.context.span_id != outer.context.span_id
    assert current() is None
    with traces.span("alone") as alone:
        assert alone.context.trace_id != outer.context.trace_id

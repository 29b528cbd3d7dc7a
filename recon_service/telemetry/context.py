"""The thread that runs through the log lines and spans of one request, over every process that works on it.

It is the W3C Trace Context: a request may bring ``traceparent``, else it gets one; the row of an operation
keeps it; the worker that takes the operation and the child that computes go on with it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
CARRIED: Final = ("trace_id", "span_id", "request_id", "operation_id")
"""What goes along to a child process."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: 32 and 16 hexadecimal digits; sampled: whether spans of it are kept."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def new(cls) -> TraceContext:
        """A trace that begins here."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def parse(cls, header: str) -> TraceContext | None:
        """The header ``traceparent``; None for one that says nothing."""
        found = _HEADER.fullmatch(header.strip()[:128]) if header else None
        if found is None:
            return None
        version, trace_id, span_id, flags, more = found.groups()
        if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
            return None
        return cls(trace_id, span_id, bool(int(flags, 16) & 1))

    @property
    def header(self) -> str:
        """As ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{1 if self.sampled else 0:02x}"

    def child(self) -> TraceContext:
        """Another place in the same trace."""
        return TraceContext(self.trace_id, secrets.token_hex(8), self.sampled)


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Every log line of the block has these fields."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def carried() -> dict[str, str]:
    """What a child process shall write into its log lines."""
    fields = structlog.contextvars.get_contextvars()
    return {name: str(fields[name]) for name in CARRIED if name in fields}


def current() -> TraceContext | None:
    """Where the work of this thread stands, None outside of any request or job."""
    fields = structlog.contextvars.get_contextvars()
    if "trace_id" not in fields or "span_id" not in fields:
        return None
    return TraceContext(str(fields["trace_id"]), str(fields["span_id"]), bool(fields.get("sampled", True)))

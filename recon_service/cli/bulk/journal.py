"""What a bulk enrollment has reached: a file beside its index, a line of JSON per event, only ever added to.

It names subjects' rows by digest and operations by id, nothing else.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

ENDED = ("succeeded", "rejected", "failed", "deleted")


@dataclass(slots=True)
class Journal:
    """operations: row -> operation that was acknowledged for it. states: operation -> how it ended."""

    path: Path
    operations: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """As far as it got; a last line that was cut off by a crash counts for nothing."""
        journal = cls(path)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if "row" in event:
                    journal.operations[event["row"]] = event["operation"]
                else:
                    journal.states[event["operation"]] = event["state"]
        return journal

    def acknowledged(self, row: str, operation: str) -> None:
        """The service has this row on record."""
        self.operations[row] = operation
        self._add({"row": row, "operation": operation})

    def ended(self, operation: str, state: str) -> None:
        """That operation is over."""
        self.states[operation] = state
        self._add({"operation": operation, "state": state})

    def open_operations(self) -> list[str]:
        """Acknowledged, and not known to be over."""
        return [name for name in self.operations.values() if name not in self.states]

    def _add(self, event: dict[str, str]) -> None:
        with self.path.open("ab+") as file:
            # A line that a crash cut off must not swallow the next one.
            if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                file.write(b"\n")
            file.write(json.dumps(event).encode() + b"\n")

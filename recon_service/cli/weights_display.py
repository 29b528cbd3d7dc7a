"""Model files on a terminal: bars while they come, and the list of how each stands and what mends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table

from recon_service.weights.derived import derived_state
from recon_service.weights.errors import ALLOW_NONCOMMERCIAL
from recon_service.weights.manifest import Build, Conversion, DerivedFile, PackageMember, Url, WeightFile
from recon_service.weights.store import State, WeightStore

COLORS: Final = {
    State.PRESENT: "green",
    State.IN_MIRROR: "green",
    State.MISSING: "yellow",
    State.ALTERED: "red",
}


class RichProgress:
    """Draws one bar per file, with rates; on no terminal, prints one line per file at its end."""

    def __init__(self, console: Console, *, unit: str = "bytes") -> None:
        columns = (TextColumn("{task.description}"), BarColumn())
        rates = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        counts = (TextColumn("{task.completed:.0f}/{task.total:.0f} files"), TimeRemainingColumn())
        self._bars = Bars(
            *columns,
            *(rates if unit == "bytes" else counts),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> RichProgress:
        self._bars.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bars.stop()

    def begin(self, name: str, *, total: int | None, source: str) -> None:
        """Start the bar of a file, or start it again for another source."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks[name])
        self._tasks[name] = self._bars.add_task(name, total=total)

    def at(self, name: str, done: int) -> None:
        """Move the bar."""
        self._bars.update(self._tasks[name], completed=done)

    def end(self, name: str, outcome: str) -> None:
        """Replace the bar by a line."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        self._bars.console.print(f"{name}: {outcome}", highlight=False, markup=False, soft_wrap=True)


def show_rows(store: WeightStore, rows: Sequence[dict[str, Any]]) -> None:
    """The table, and what its last column means."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("name", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("license", max_width=24)
    table.add_column("commercial", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("mend by", no_wrap=True)
    for row in rows:
        commercial = "[green]yes[/]" if row["commercial_use"] else "[yellow]no[/]"
        state = f"[{COLORS[State(row['state'])]}]{row['state']}[/]"
        table.add_row(
            row["name"],
            f"{row['bytes'] / 1e6:.2f}" if row["bytes"] else "",
            row["license"],
            commercial,
            state,
            row["mend"],
        )
    console = Console()
    console.print(table)
    console.print(
        _legend(store, {row["mend"] for row in rows}), highlight=False, markup=False, soft_wrap=True
    )


# What the last column says, and what that means.
_MENDS = {
    "pull": "recon weights pull NAME",
    "build": "recon weights build ict",
    "convert": "recon weights pull ORIGINAL, then: recon weights convert NAME",
    "conversion": "its converter is not written yet: set RECON_WEIGHTS_MIRROR to a folder with the file",
    "derive": "computed on this machine by the command that `recon weights list --json` names",
    "mirror": "published nowhere else: set RECON_WEIGHTS_MIRROR to a folder with the file",
}


def _mend_by(file: WeightFile) -> str:
    first = file.sources[0] if file.sources else None
    if isinstance(first, Conversion) and first.command:
        return "convert"
    kinds = {Build: "build", Conversion: "conversion", PackageMember: "pull", Url: "pull"}
    return kinds[type(file.sources[0])] if file.sources else "mirror"


def _legend(store: WeightStore, shown: set[str]) -> str:
    lines = [f"{name}: {meaning}" for name, meaning in _MENDS.items() if name in shown]
    if not store.allow_noncommercial:
        lines.append(f"commercial 'no': refused unless {ALLOW_NONCOMMERCIAL}=1 (research only)")
    return "\n".join([*lines, f"weights folder: {store.directory}", f"mirror: {store.mirror or 'none'}"])


def row_of(store: WeightStore, file: WeightFile) -> dict[str, Any]:
    """How a declared file stands."""
    state = store.state(file)
    return {
        "name": file.name,
        "path": file.path,
        "title": file.title,
        "bytes": file.size,
        "license": file.license,
        "commercial_use": file.commercial_use,
        "sets": list(file.sets),
        "sources": [str(source) for source in file.sources],
        "state": state.value,
        "mend": _mend_by(file) if state in (State.MISSING, State.ALTERED) else "",
        "note": file.note,
    }


def derived_row_of(store: WeightStore, file: DerivedFile) -> dict[str, Any]:
    """How a file stands that is computed here."""
    state = derived_state(store, file)
    path = store.directory / file.path
    return {
        "name": file.name,
        "path": file.path,
        "title": file.title,
        "bytes": path.stat().st_size if path.is_file() else 0,
        "license": file.license,
        "commercial_use": file.commercial_use,
        "sets": [],
        "sources": [f"`{file.command}`"],
        "state": state.value,
        "mend": "derive" if state in (State.MISSING, State.ALTERED) else "",
        "note": "",
    }

"""A batch on a terminal: its counts, and live until it has nothing to do."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import typer

from recon_service.cli.client import ServiceClient

if TYPE_CHECKING:
    from rich.console import RenderableType

WORKING: Final = ("running", "activating", "rolling-back")
HELD: Final = ("paused", "cancelled")
EXIT_SOME: Final = 1
EXIT_HELD: Final = 4
POLL_S: Final = 1.0
COLORS: Final = {
    "succeeded": "green",
    "rejected": "yellow",
    "needs-new-selfie": "yellow",
    "failed": "red",
    "running": "blue",
}


def show_batch(batch: dict[str, Any]) -> None:
    """Once."""
    from rich.console import Console

    Console().print(_drawn(batch))


def watch_batch(client: ServiceClient, batch_id: str, *, quiet: bool, as_json: bool = False) -> int:
    """Until it has nothing to do; the exit code. as_json: a line whenever something has changed."""
    from rich.console import Console
    from rich.live import Live

    path, last = f"/v1/batches/{batch_id}", None
    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=not quiet) as live:
        while True:
            batch = client.look(path).json()
            if as_json and batch != last:
                typer.echo(json.dumps(batch))
            elif not quiet:
                live.update(_drawn(batch), refresh=True)
            if batch["state"] not in WORKING:
                break
            last = batch
            time.sleep(POLL_S)
    if not quiet:
        show_batch(batch)
    if batch["state"] in HELD:
        return EXIT_HELD
    return 0 if batch["items"]["succeeded"] == batch["listed"] else EXIT_SOME


def _drawn(batch: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    total = max(batch["expected"], batch["listed"], 1)
    head = Text.assemble((batch["batch_id"], "bold"), "  ", (batch["state"], "cyan"))
    if batch["blocked"]:
        head.append("  no worker runs what it asks for", "red")
    line = f"{batch['done']} of {total} done"
    if batch["per_second"] is not None:
        line += f", {batch['per_second']:.1f} per second"
    if batch["seconds_left"] is not None:
        line += f", {_span(batch['seconds_left'])} left"
    table = Table.grid(padding=(0, 2))
    for state, count in batch["items"].items():
        if count:
            table.add_row(Text(state, COLORS.get(state, "default")), str(count))
    for standing, count in batch["standings"].items():
        if count and standing != "candidate":
            table.add_row(Text(standing, "cyan"), str(count))
    for reason, count in batch["reasons"].items():
        table.add_row(Text(f"  {reason}", "dim"), Text(str(count), "dim"))
    return Group(head, ProgressBar(total=total, completed=batch["done"], width=60), Text(line), table)


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"

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
            batch = client.get(path).json()
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


def show_comparison(found: dict[str, Any]) -> None:
    """Tables: the sample as a whole, error rates that are known, and the subjects that would change most."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"{found['sampled']} of {found['candidates']} candidates, against the templates in force")
    spread = Table("of the sample", "median", "95 %", "largest")
    for name, what in (("shift", "shape moved, sd of people"), ("width", "posterior, candidate over former")):
        spread.add_row(what, *(f"{found[name][k]:.2f}" for k in ("median", "high", "largest")))
    console.print(spread)
    scores = Table("scores of kept visits", "visits", "former", "candidate", "largest fall", "share falling")
    for name, what in (("visits", "the subject's own"), ("strangers", "of others")):
        if (change := found[name]) is not None:
            means = [f"{change[k]:.2f}" for k in ("former", "candidate", "largest_fall")]
            scores.add_row(what, str(change["count"]), *means, f"{100 * change['falling']:.0f} %")
    console.print(scores if scores.row_count else "No visits were kept that could be scored.")
    if found["incomparable"]:
        console.print(f"{found['incomparable']} cannot be compared: the versions are of different models.")
    known = Table("known error rates", "reference", "probe", "people", "EER", "Cllr")
    for row in found["evaluation"]:
        words = (row["side"], row["reference"], row["probe"], str(row["people"]))
        known.add_row(*words, f"{100 * row['eer']:.1f} %", f"{row['cllr']:.2f}")
    if known.row_count:
        console.print(known)
    most = Table("would change most", "shift", "width", "fall", "")
    for outlier in found["outliers"]:
        fall = "" if outlier["fall"] is None else f"{outlier['fall']:.2f}"
        numbers = (f"{outlier['shift']:.2f}", f"{outlier['width']:.2f}", fall)
        most.add_row(outlier["subject_id"], *numbers, outlier["problem"])
    if most.row_count:
        console.print(most)


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

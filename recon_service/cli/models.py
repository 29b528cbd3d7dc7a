"""`recon models`: what workers run, and what made which templates."""

from __future__ import annotations

import json

import typer

from recon_service.cli.client import DEFAULT_URL, ServiceClient
from recon_service.cli.options import AsJson, Key, Url


def command(url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Show models and calibrations: per worker, and of the templates there are.

    For example:

      recon models --json | jq .templates
    """
    found = ServiceClient(url, api_key).get("/v1/models").json()
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    columns = ("worker", "state", "model", "calibration", "can load", "seen")
    workers = Table(*columns, title="Workers", title_justify="left")
    for worker in found["workers"]:
        runs = worker["models"] or {"model": "", "calibration": "", "others": []}
        others = ", ".join(other["model"] for other in runs["others"])
        state = f"[red]{worker['problem']}[/]" if worker["problem"] else "[green]ready[/]"
        seen = worker["reported_at"][:19]
        workers.add_row(worker["worker_id"], state, runs["model"], runs["calibration"], others, seen)
    console.print(workers)
    made = Table(
        "model", "calibration", "source", "state", "templates", title="Templates", title_justify="left"
    )
    for row in found["templates"]:
        words = (row["model"], row["calibration"], row["source"], row["state"])
        made.add_row(*words, str(row["templates"]))
    console.print(made)

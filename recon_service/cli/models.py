"""`recon models`: what workers run, and what made which templates."""

from __future__ import annotations

import json

import typer

from recon_service.cli.client import DEFAULT_URL, ServiceClient
from recon_service.cli.options import AsJson, Key, Url


def command(url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """Show models and calibrations: per worker, and of the templates there are."""
    found = ServiceClient(url, api_key).get("/v1/models").json()
    if as_json:
        typer.echo(json.dumps(found))
        return
    from recon_service.cli.tables import print_table

    workers = []
    for worker in found["workers"]:
        runs = worker["models"] or {"model": "", "calibration": "", "others": []}
        others = ", ".join(other["model"] for other in runs["others"])
        state, seen = worker["problem"] or "ready", worker["reported_at"][:19]
        workers.append((worker["worker_id"], state, runs["model"], runs["calibration"], others, seen))
    columns = ("worker", "state", "model", "calibration", "can load", "seen")
    print_table(columns, workers, title="Workers", colors={"ready": "green"})
    made = [
        (row["model"], row["calibration"], row["source"], row["state"], str(row["templates"]))
        for row in found["templates"]
    ]
    print_table(("model", "calibration", "source", "state", "templates"), made, title="Templates")

"""`recon bulk`: enroll many people from an index and a folder or bucket of selfies."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from recon_service.cli.bulk.index import read_index
from recon_service.cli.bulk.journal import Journal
from recon_service.cli.bulk.sending import Outcome, Sender, follow_all, send_all
from recon_service.cli.bulk.sources import open_source
from recon_service.cli.client import DEFAULT_URL, ServiceClient
from recon_service.cli.progress import progress_bar

app = typer.Typer(no_args_is_help=True)

EXIT_SOME_BAD = 1


@app.callback()
def _bulk() -> None:
    """Keeps `enroll` a command of its own while it is the only one."""


@app.command()
def enroll(
    index: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV or Parquet: subject_id, consent_id, selfies (docs/operations.md).",
        ),
    ],
    source: Annotated[
        str, typer.Option("--from", help="Folder, or s3://bucket/prefix, of the selfies.")
    ] = ".",
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(help="Default: the variable RECON_API_KEY.")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Requests under way at once.")] = 4,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all have ended.")] = True,
    report: Annotated[
        Path | None, typer.Option(help="Where the outcome of each row goes. Default: INDEX.report.csv")
    ] = None,
    s3_endpoint: Annotated[
        str, typer.Option(envvar="AWS_ENDPOINT_URL", help="Of an S3 that is not AWS.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Enroll everybody in an index, after those whom people wait for.

    Bad rows are reported and the rest goes on. What was acknowledged is written to INDEX.journal, so the
    same command goes on where it stopped, after a crash as after rows were added; no row is enrolled twice.
    In CSV, several selfies of a row are separated by semicolons.

    Exit codes: 0 all enrolled, 1 some not (see the report), 2 wrong use, 3 the service failed.
    """
    from rich.console import Console

    client = ServiceClient(url, api_key)
    journal = Journal.open(index.with_name(f"{index.name}.journal"))
    sender = Sender(client.http, open_source(source, endpoint=s3_endpoint), journal)
    total = sum(1 for _ in read_index(index))
    outcomes: list[Outcome] = []
    with progress_bar(Console(stderr=True)) as show:
        show("sending", 0, total)
        for outcome in send_all(read_index(index), sender, journal, at_once=at_once):
            outcomes.append(outcome)
            show("sending", len(outcomes), total)
        if wait:
            waiting = len(journal.open_operations())
            for done, _ in enumerate(follow_all(sender, journal), start=1):
                show("enrolling", done, waiting)
    outcomes = sorted((_final(o, journal) for o in outcomes), key=lambda o: o.number)
    written = report or index.with_name(f"{index.name}.report.csv")
    _write_report(written, outcomes)
    counts = dict(sorted(Counter(o.state for o in outcomes).items()))
    if as_json:
        typer.echo(json.dumps({"rows": len(outcomes), "states": counts, "report": str(written)}))
    else:
        typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()) or "the index is empty")
        typer.echo(f"every row: {written}", err=True)
    fine = {"succeeded"} if wait else {"succeeded", "waiting"}
    raise typer.Exit(0 if set(counts) <= fine else EXIT_SOME_BAD)


def _final(outcome: Outcome, journal: Journal) -> Outcome:
    state = journal.states.get(outcome.operation_id, outcome.state)
    return Outcome(outcome.number, outcome.subject_id, state, outcome.operation_id, outcome.problem)


def _write_report(path: Path, outcomes: list[Outcome]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "subject_id", "state", "operation_id", "problem"])
        for o in outcomes:
            writer.writerow([o.number, o.subject_id, o.state, o.operation_id, o.problem])

"""`recon enroll`: selfies to a running service, with a live progress bar."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from recon_service.cli.client import DEFAULT_URL, EXIT_FAULT, ServiceClient, path_of, read_parts, stop

EXIT_REJECTED = 1


def command(
    subject: Annotated[str, typer.Argument(help="Your pseudonym for the person.")],
    images: Annotated[list[Path], typer.Argument(help="1 to 10 selfies: JPEG, PNG, WebP or HEIC.")],
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(help="Default: the variable RECON_API_KEY.")] = None,
    consent: Annotated[str, typer.Option(help="Id of the recorded consent.")] = "command-line",
    keep_selfies: Annotated[bool, typer.Option(help="Keep them, encrypted, for re-enrollment.")] = False,
    keep_evidence: Annotated[
        bool, typer.Option(help="Keep what was measured on them, encrypted and without pictures.")
    ] = False,
    keep_probes: Annotated[
        bool, typer.Option(help="Keep what the last verifications saw, encrypted and for a while.")
    ] = False,
    consent_ends: Annotated[
        str | None, typer.Option(help="When the consent ends, such as 2027-03-01T00:00:00Z.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the operation as JSON.")] = False,
) -> None:
    """Enroll a subject from selfies, through a running service.

    Exit codes: 0 enrolled, 1 no selfie was good enough, 2 wrong use, 3 the service failed.
    """
    client = ServiceClient(url, api_key)
    fields = {
        "consent_id": consent,
        "keep_selfies": str(keep_selfies).lower(),
        "keep_evidence": str(keep_evidence).lower(),
        "keep_probes": str(keep_probes).lower(),
        **({"consent_expires_at": consent_ends} if consent_ends else {}),
    }
    answer = client.post(
        f"{path_of(subject)}/enrollments",
        parts=read_parts("selfies", images),
        fields=fields,
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    operation = _watch(client, answer.headers["location"], quiet=as_json)
    if as_json:
        typer.echo(json.dumps(operation, indent=2))
    else:
        _show(operation, images)
    raise typer.Exit({"succeeded": 0, "rejected": EXIT_REJECTED}.get(operation.get("state", ""), EXIT_FAULT))


def _watch(client: ServiceClient, path: str, *, quiet: bool) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    operation: dict[str, Any] = {}
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    console = Console(stderr=True)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=quiet or not console.is_terminal
    ) as bar:
        task = bar.add_task("queued", total=1.0)
        for operation in client.follow(path):
            bar.update(
                task, completed=operation.get("progress", 1.0), description=operation.get("stage", "deleted")
            )
    if not operation:
        stop(EXIT_FAULT, "The subject was deleted meanwhile.", "")
    return operation


def _show(operation: dict[str, Any], images: list[Path]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("selfie", "score", "verdict", "hints")
    for path, selfie in zip(images, operation["selfies"], strict=False):
        score = "" if selfie["score"] is None else f"{selfie['score']:.0f}"
        verdict = "[green]accepted[/]" if selfie["accepted"] else "[red]rejected[/]"
        table.add_row(escape(path.name), score, verdict, escape(" ".join(selfie["hints"])))
    console = Console()
    if operation["selfies"]:
        console.print(table)
    line = {"succeeded": "[green]enrolled[/]", "rejected": "[red]no selfie was good enough[/]"}
    console.print(
        line.get(operation["state"], f"[red]{operation['state']}[/]"), operation["template_id"] or ""
    )
    if problem := operation["problem"]:
        console.print(escape(f"{problem['detail']} {problem['next_step']}"))

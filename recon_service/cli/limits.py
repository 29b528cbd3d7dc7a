"""`recon limits`: who is locked out after verifications without a match, and letting them in again."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from recon_service.application.keeping.audit import COMMAND_LINE
from recon_service.application.records.access import FailureKind
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.verifying.lockouts import lift_lockout, locked_out
from recon_service.bootstrap import open_stores
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List who is locked out. Subjects are named by their digests, as in `recon audit show`."""
    opened = open_stores(Settings.from_environment())
    try:
        found = locked_out(on=opened.stores)
    finally:
        opened.close()
    rows = [
        {
            "kind": c.kind.value,
            "name": c.name,
            "failures": c.failures,
            "until": c.locked_until.isoformat(timespec="seconds") if c.locked_until else "",
        }
        for c in found
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo("  ".join(str(value) for value in row.values()))
    if not rows:
        typer.echo("none")


@app.command()
def lift(
    subject: Annotated[str | None, typer.Option(help="The subject's id.")] = None,
    key: Annotated[str | None, typer.Option(help="The id of an API key.")] = None,
) -> None:
    """Let a subject or an API key in again. This goes to the audit log."""
    if (subject is None) == (key is None):
        raise typer.BadParameter("name either --subject or --key")
    kind, name = (FailureKind.SUBJECT, subject) if subject is not None else (FailureKind.API_KEY, key or "")
    if subject is not None:
        check_subject_id(subject)
    opened = open_stores(Settings.from_environment())
    try:
        lift_lockout(kind, name, actor=COMMAND_LINE, on=opened.stores)
    finally:
        opened.close()
    typer.echo("lifted", err=True)

"""`recon audit`: read the audit log, and check that nobody has changed it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from recon_service.application.audit import subject_digest, verify_audit
from recon_service.application.records import AuditHead
from recon_service.bootstrap import open_stores
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(
    subject: Annotated[str | None, typer.Option(help="Only of this subject, by its id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only of this kind, such as verification.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries with a higher number.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per entry.")] = False,
) -> None:
    """Print the log, oldest first. Subjects are named by keyed digests; `--subject` finds one by its id, also
    after its deletion.

    For example:

      recon audit show --subject user-8c41 --action verification
    """
    opened = open_stores(Settings.from_environment())
    try:
        wanted = subject_digest(subject, on=opened.stores) if subject else None
        with opened.stores.database.snapshot() as tx:
            for entry in tx.audit.entries(after=after, subject=wanted, action=action):
                if as_json:
                    typer.echo(json.dumps({**asdict(entry), "at": entry.at.isoformat()}))
                    continue
                words = [f"{entry.sequence:>6}", f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.actor, entry.action]
                words += [f"subject={entry.subject[:12]}"] if entry.subject else []
                typer.echo("  ".join([*words, *filter(None, (entry.object_id, entry.outcome))]))
    finally:
        opened.close()


@app.command()
def verify(
    since: Annotated[
        str | None,
        typer.Option(help="An end that was printed before, NUMBER:DIGEST: it must still be there."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole chain; the exit status is 1 and the first broken entry is named if it does not hold.

    Note the printed end in another place: a log that was set back to an older state, together with its end,
    is found out by nothing else.

    For example:

      recon audit verify --since 1042:9f3c…
    """
    noted = _noted(since)
    opened = open_stores(Settings.from_environment())
    try:
        verdict = verify_audit(on=opened.stores, since=noted)
    finally:
        opened.close()
    end = f"{verdict.head.sequence}:{verdict.head.digest}"
    if as_json:
        typer.echo(json.dumps({"entries": verdict.entries, "broken": verdict.broken, "end": end}))
    elif verdict.broken is None:
        typer.echo(f"{verdict.entries} entries, unbroken; end {end}")
    else:
        typer.secho(f"entry {verdict.broken} {verdict.detail}; the log holds up to {end}", fg="red", err=True)
    if verdict.broken is not None:
        raise typer.Exit(1)


def _noted(text: str | None) -> AuditHead | None:
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise typer.BadParameter("an end is NUMBER:DIGEST, as `recon audit verify` prints it")
    return AuditHead(int(number), digest)

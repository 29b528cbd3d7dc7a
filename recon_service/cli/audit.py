"""`recon audit`: read the audit log, and check that nobody has changed it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import httpx
import typer
from rich.console import Console

from recon_service.application.keeping.audit import COMMAND_LINE, subject_digest
from recon_service.application.keeping.audit_ends import accept_end, check_audit
from recon_service.application.records.audit import AuditHead
from recon_service.bootstrap import open_stores
from recon_service.cli.client import ServiceClient
from recon_service.cli.options import AsJson, Key, RemoteUrl
from recon_service.cli.progress import progress_bar
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)
PATIENCE_S: Final = 3600.0
"""A log of years takes the service minutes."""


@app.command()
def show(
    subject: Annotated[str | None, typer.Option(help="Only of this subject, by its id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only of this kind, such as verification.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries with a higher number.")] = 0,
    url: RemoteUrl = None,
    api_key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per entry.")] = False,
) -> None:
    """Print the log, oldest first. Subjects are named by keyed digests; `--subject` finds one by its id, also
    after its deletion.
    """
    entries = _remote(url, api_key, subject, action, after) if url else _stored(subject, action, after)
    for entry in entries:
        if as_json:
            typer.echo(json.dumps(entry))
            continue
        moment = str(entry["at"])[:19].replace("T", " ")
        words = [f"{entry['sequence']:>6}", moment, entry["actor"], entry["action"]]
        words += [f"subject={entry['subject'][:12]}"] if entry["subject"] else []
        typer.echo("  ".join([*words, *filter(None, (entry["object_id"], entry["outcome"]))]))


@app.command()
def verify(
    since: Annotated[
        str | None,
        typer.Option(help="An end that was printed before, NUMBER:DIGEST: it must still be there."),
    ] = None,
    url: RemoteUrl = None,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole chain; the exit status is 1 and the first broken entry is named if it does not hold.

    A log that was set back to an older state, together with its end, is found out by an end that was noted
    in another place: the service notes one in the object store every hour, and you the one that is printed.
    """
    noted = _noted(since)
    if url:
        client = ServiceClient(url, api_key)
        client.http.timeout = httpx.Timeout(PATIENCE_S, connect=5.0)
        found = client.send("POST", "/v1/audit-checks", body={"since": since}).json()
    else:
        opened = open_stores(Settings.from_environment())
        try:
            with progress_bar(Console(stderr=True)) as bar:
                verdict = check_audit(
                    on=opened.stores, since=noted, progress=lambda done, total: bar("entries", done, total)
                )
        finally:
            opened.close()
        end = f"{verdict.head.sequence}:{verdict.head.digest}"
        found = {
            "entries": verdict.entries,
            "broken": verdict.broken,
            "detail": verdict.detail,
            "end": end,
        }
    if as_json:
        typer.echo(json.dumps(found))
    elif found["broken"] is None:
        typer.echo(f"{found['entries']} entries, unbroken; end {found['end']}")
    else:
        said = f"entry {found['broken']} {found['detail']}; the log holds up to {found['end']}"
        typer.secho(said, fg="red", err=True)
    if found["broken"] is not None:
        raise typer.Exit(1)


@app.command()
def accept() -> None:
    """After a restore: the log ends where the backup did, and that is known. From now on this end counts, and
    the log says that you said so. An end that you noted yourself goes on counting.
    """
    opened = open_stores(Settings.from_environment())
    try:
        accept_end(actor=COMMAND_LINE, on=opened.stores)
    finally:
        opened.close()
    typer.echo("accepted", err=True)


def _stored(subject: str | None, action: str | None, after: int) -> Iterator[dict[str, Any]]:
    opened = open_stores(Settings.from_environment())
    try:
        wanted = subject_digest(subject, on=opened.stores) if subject else None
        with opened.stores.database.snapshot() as tx:
            for entry in tx.audit.entries(after=after, subject=wanted, action=action):
                yield {**asdict(entry), "at": entry.at.isoformat()}
    finally:
        opened.close()


def _remote(
    url: str, api_key: str | None, subject: str | None, action: str | None, after: int
) -> Iterator[dict[str, Any]]:
    client = ServiceClient(url, api_key)
    named = {name: value for name, value in (("subject", subject), ("action", action)) if value}
    position: int | None = after
    while position is not None:
        query = urlencode({**named, "after": position, "limit": 1000})
        page = client.get(f"/v1/audit-entries?{query}").json()
        yield from page["entries"]
        position = page["next_after"]


def _noted(text: str | None) -> AuditHead | None:
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise typer.BadParameter("an end is NUMBER:DIGEST, as `recon audit verify` prints it")
    return AuditHead(int(number), digest)

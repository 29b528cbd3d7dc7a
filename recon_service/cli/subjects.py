"""`recon subjects`: list and delete them; after a restore, delete again who was deleted since the backup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer

from recon_service.application.keeping.audit import COMMAND_LINE
from recon_service.application.keeping.revocations import reapply_revocations
from recon_service.application.keeping.withdrawals import reapply_withdrawals
from recon_service.application.records.subjects import DeletionReceipt
from recon_service.application.templates.restores import reapply_deletions, stored_receipts
from recon_service.application.templates.tombstones import receipt_of_json
from recon_service.bootstrap import open_stores
from recon_service.cli.client import DEFAULT_URL, ServiceClient, path_of
from recon_service.cli.options import AsJson, Key, Url
from recon_service.domain.errors import InvalidValue
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_(url: Url = DEFAULT_URL, api_key: Key = None, as_json: AsJson = False) -> None:
    """List subjects, one per line; in the order of their ids."""
    client = ServiceClient(url, api_key)
    after: str | None = ""
    while after is not None:
        page = client.get(f"/v1/subjects?{urlencode({'after': after, 'limit': 1000})}").json()
        for found in page["subjects"]:
            typer.echo(json.dumps(found) if as_json else found["subject_id"])
        after = page["next_after"]


@app.command()
def delete(
    subject: Annotated[str, typer.Argument(help="Your pseudonym for the person.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
    api_key: Key = None,
) -> None:
    """Destroy a subject's key, templates, enrollments and selfies, and print the receipt."""
    client, path = ServiceClient(url, api_key), path_of(subject)
    if not yes:
        typer.confirm(f"Destroy everything of {subject}? It cannot be brought back", abort=True, err=True)
    typer.echo(json.dumps(client.send("DELETE", path).json()))


@app.command("reapply-deletions")
def reapply(
    receipts: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of receipts, one JSON object per line, as DELETE answered."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete again every subject that a receipt speaks of and that a restore has brought back.

    Reads the tombstones of the object store, and the files that are named: needed when the object store was
    set back too. Receipts that this service did not sign count for nothing. API keys that were revoked since
    are revoked again, and what else was withdrawn: kiosks of edge mode, members of sites, webhooks, consents.
    `recon serve` does all but the files at every start.
    """
    opened = open_stores(Settings.from_environment())
    try:
        found = chain(stored_receipts(on=opened.stores), _of_files(receipts or []))
        done = reapply_deletions(found, actor=COMMAND_LINE, on=opened.stores)
        revoked = reapply_revocations(on=opened.stores)
        withdrawn = reapply_withdrawals(on=opened.stores)
    finally:
        opened.close()
    if as_json:
        typer.echo(json.dumps({**asdict(done), "api_keys_revoked": revoked, "withdrawn": withdrawn}))
    else:
        typer.echo(f"{done.receipts} receipts, {done.refused} refused, {done.deleted} subjects deleted again")
        typer.echo(f"{revoked} API keys revoked again, {withdrawn} other withdrawals")


def _of_files(paths: list[Path]) -> Iterator[DeletionReceipt]:
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as fault:
            raise InvalidValue(f"{path} cannot be read", next_step="Name a file of receipts.") from fault
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield receipt_of_json(line)
            except ValueError:
                raise InvalidValue(
                    f"line {number} of {path} is not a receipt",
                    next_step="Each line is the JSON that a deletion was answered with.",
                ) from None

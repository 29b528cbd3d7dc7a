"""`recon keys`: make, list and revoke API keys."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from recon_service.application.keeping.audit import COMMAND_LINE
from recon_service.application.keeping.key_rotation import rotate_master_key
from recon_service.application.keeping.keys import create_api_key, list_api_keys, revoke_api_key
from recon_service.application.records.access import ApiKey, Scope
from recon_service.bootstrap import open_stores
from recon_service.cli.client import ServiceClient
from recon_service.cli.options import AsJson, Key, RemoteUrl
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, such as 'kiosk 12'.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; several are possible.")],
    url: RemoteUrl = None,
    api_key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It cannot be shown again: only a hash of it is stored.

    With --url, through a running service; the new key may do no more than the one that asks.
    """
    if url:
        body = {"name": name, "scopes": [s.value for s in scope]}
        made = ServiceClient(url, api_key).send("POST", "/v1/api-keys", body=body).json()
    else:
        opened = open_stores(Settings.from_environment())
        try:
            new = create_api_key(name, scope, on=opened.stores, actor=COMMAND_LINE)
        finally:
            opened.close()
        made = {**_fields(new.key), "token": new.token}
    if as_json:
        typer.echo(json.dumps(made))
    else:
        typer.echo(made["token"])
        typer.echo(f"id {made['id']}; keep the key safe, it is shown only now", err=True)


@app.command("list")
def list_keys(url: RemoteUrl = None, api_key: Key = None, as_json: AsJson = False) -> None:
    """List all keys, without their secrets."""
    if url:
        keys = ServiceClient(url, api_key).get("/v1/api-keys").json()["keys"]
    else:
        opened = open_stores(Settings.from_environment())
        try:
            keys = [_fields(key) for key in list_api_keys(on=opened.stores)]
        finally:
            opened.close()
    if as_json:
        typer.echo(json.dumps(keys))
        return
    from recon_service.cli.tables import print_table

    rows = []
    for key in keys:
        state = "revoked" if key["revoked_at"] else "development" if key["development"] else "active"
        rows.append((key["id"], key["name"], " ".join(key["scopes"]), key["created_at"][:16], state))
    print_table(("id", "name", "scopes", "made", "state"), rows)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id, as `recon keys list` shows it.")],
    url: RemoteUrl = None,
    api_key: Key = None,
) -> None:
    """Revoke a key: from now on it opens nothing."""
    if url:
        ServiceClient(url, api_key).send("DELETE", f"/v1/api-keys/{key_id}")
    else:
        opened = open_stores(Settings.from_environment())
        try:
            revoke_api_key(key_id, on=opened.stores, actor=COMMAND_LINE)
        finally:
            opened.close()
    typer.echo(f"revoked {key_id}", err=True)


@app.command("rotate-master")
def rotate_master(
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Keys per transaction.")] = 100,
) -> None:
    """Wrap every subject's key by the current master key, while the service runs. Killed, it goes on with the
    next run. docs/operations.md says how all processes get the new key first.
    """
    opened = open_stores(Settings.from_environment())
    try:
        done = rotate_master_key(
            on=opened.stores,
            actor=COMMAND_LINE,
            batch=batch,
            progress=lambda count: typer.echo(f"{count} keys", err=True),
        )
    finally:
        opened.close()
    typer.echo(f"{done.rewrapped} keys wrapped anew, {done.remaining} remaining")
    if not done.done:
        typer.echo("Run it again: some keys were made or held by others meanwhile.", err=True)
        raise typer.Exit(1)


def _fields(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.key_id,
        "name": key.name,
        "scopes": sorted(s.value for s in key.scopes),
        "development": key.development,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }

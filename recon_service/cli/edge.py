"""recon edge: keys of kiosks, sites and bundles for verification without the service."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recon_service.application.audit import COMMAND_LINE
from recon_service.application.edge import (
    add_member,
    make_bundle,
    register_kiosk,
    remove_member,
    revoke_kiosk,
)
from recon_service.application.signing import service_signer
from recon_service.bootstrap import open_edge, open_stores
from recon_service.edge.bundle import open_bundle
from recon_service.edge.format import HpkeEdgeFormat
from recon_service.edge.keys import KioskKeys
from recon_service.edge.state import EdgeState
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)
console = Console()
KEYS = Annotated[Path, typer.Option("--keys", help="File with the keys of the kiosk.")]


@app.command("keys")
def keys(path: Annotated[Path, typer.Argument(help="New file, on the kiosk.")]) -> None:
    """On the kiosk: make its keys, and print what the service is to know of them."""
    made = KioskKeys.generate(path)
    console.print(f"recipient  {made.recipient}\nsigning    {made.signing}", highlight=False, soft_wrap=True)


@app.command("register")
def register(site: str, recipient: str, signing: str) -> None:
    """At the service: trust a kiosk by its public keys."""
    opened = open_stores(Settings.from_environment())
    try:
        kiosk = register_kiosk(
            site,
            recipient=recipient,
            signing=signing,
            actor=COMMAND_LINE,
            on=opened.stores,
            by=HpkeEdgeFormat(),
        )
        service = service_signer(on=opened.stores).public
    finally:
        opened.close()
    console.print(f"kiosk    {kiosk.kiosk_id}\nservice  {service}", highlight=False, soft_wrap=True)


@app.command("revoke")
def revoke(site: str, kiosk_id: str) -> None:
    """At the service: no more bundles for a kiosk."""
    opened = open_stores(Settings.from_environment())
    try:
        revoke_kiosk(site, kiosk_id, actor=COMMAND_LINE, on=opened.stores)
    finally:
        opened.close()


@app.command("add")
def add(site: str, subject_ids: list[str]) -> None:
    """At the service: let a site hold subjects."""
    opened = open_stores(Settings.from_environment())
    try:
        for subject_id in subject_ids:
            add_member(site, subject_id, actor=COMMAND_LINE, on=opened.stores)
    finally:
        opened.close()


@app.command("remove")
def remove(site: str, subject_ids: list[str]) -> None:
    """At the service: take subjects from a site."""
    opened = open_stores(Settings.from_environment())
    try:
        for subject_id in subject_ids:
            remove_member(site, subject_id, actor=COMMAND_LINE, on=opened.stores)
    finally:
        opened.close()


@app.command("bundle")
def bundle(
    site: str,
    kiosk_id: str,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the bundle.")],
) -> None:
    """At the service: seal a site's templates for one kiosk."""
    settings = Settings.from_environment()
    opened = open_stores(settings)
    try:
        content = make_bundle(site, kiosk_id, actor=COMMAND_LINE, on=opened.stores, by=open_edge(settings))
    finally:
        opened.close()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    console.print(f"{output}: {len(content):,} bytes", highlight=False)


@app.command("inspect")
def inspect(
    path: Path,
    keys_path: KEYS,
    service: Annotated[str, typer.Option("--service", help="Public key of the service.")],
) -> None:
    """On the kiosk: check a bundle and say what it holds, without taking it into use."""
    made = KioskKeys.load(keys_path)
    now = datetime.now(UTC)
    found = open_bundle(path.read_bytes(), keys=made, trusted=service, state=EdgeState.blank(made), now=now)
    head = found.head
    console.print(
        f"site {head.site}, bundle {head.serial} ({head.bundle_id}), {head.templates} templates, policy "
        f"{found.terms.policy}, until {head.expires_at:%Y-%m-%d %H:%M} UTC",
        highlight=False,
        soft_wrap=True,
    )

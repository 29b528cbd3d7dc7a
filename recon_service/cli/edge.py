"""recon edge: keys of kiosks, sites and bundles for verification without the service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recon_service.application.edge.bundles import (
    add_member,
    make_bundle,
    register_kiosk,
    remove_member,
    revoke_kiosk,
)
from recon_service.application.keeping.audit import COMMAND_LINE
from recon_service.application.keeping.signing import service_signer
from recon_service.application.ports.stores import Stores
from recon_service.bootstrap import open_edge, open_stores
from recon_service.edge.bundle import open_bundle
from recon_service.edge.format import HpkeEdgeFormat
from recon_service.edge.keys import KioskKeys
from recon_service.edge.state import EdgeState
from recon_service.settings import Settings

app = typer.Typer(no_args_is_help=True)
console = Console()
KEYS = Annotated[Path, typer.Option("--keys", help="File with the keys of the kiosk.")]
Site = Annotated[str, typer.Argument(help="Name of the site: lobby-3.")]
KioskId = Annotated[str, typer.Argument(help="As `recon edge register` printed it.")]
SubjectIds = Annotated[list[str], typer.Argument(help="Your pseudonyms for the people.")]


@contextmanager
def _stores(settings: Settings | None = None) -> Iterator[Stores]:
    opened = open_stores(settings or Settings.from_environment())
    try:
        yield opened.stores
    finally:
        opened.close()


@app.command("keys")
def keys(path: Annotated[Path, typer.Argument(help="New file, on the kiosk.")]) -> None:
    """On the kiosk: make its keys, and print what the service is to know of them."""
    made = KioskKeys.generate(path)
    console.print(f"recipient  {made.recipient}\nsigning    {made.signing}", highlight=False, soft_wrap=True)


@app.command("register")
def register(
    site: Site,
    recipient: Annotated[str, typer.Argument(help="Public key that `recon edge keys` printed first.")],
    signing: Annotated[str, typer.Argument(help="The second.")],
) -> None:
    """At the service: trust a kiosk by its public keys."""
    with _stores() as stores:
        kiosk = register_kiosk(
            site,
            recipient=recipient,
            signing=signing,
            actor=COMMAND_LINE,
            on=stores,
            by=HpkeEdgeFormat(),
        )
        service = service_signer(on=stores).public
    console.print(f"kiosk    {kiosk.kiosk_id}\nservice  {service}", highlight=False, soft_wrap=True)


@app.command("revoke")
def revoke(site: Site, kiosk_id: KioskId) -> None:
    """At the service: no more bundles for a kiosk."""
    with _stores() as stores:
        revoke_kiosk(site, kiosk_id, actor=COMMAND_LINE, on=stores)


@app.command("add")
def add(site: Site, subject_ids: SubjectIds) -> None:
    """At the service: let a site hold subjects."""
    with _stores() as stores:
        for subject_id in subject_ids:
            add_member(site, subject_id, actor=COMMAND_LINE, on=stores)


@app.command("remove")
def remove(site: Site, subject_ids: SubjectIds) -> None:
    """At the service: take subjects from a site."""
    with _stores() as stores:
        for subject_id in subject_ids:
            remove_member(site, subject_id, actor=COMMAND_LINE, on=stores)


@app.command("bundle")
def bundle(
    site: Site,
    kiosk_id: KioskId,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the bundle.")],
) -> None:
    """At the service: seal a site's templates for one kiosk."""
    settings = Settings.from_environment()
    with _stores(settings) as stores:
        content = make_bundle(site, kiosk_id, actor=COMMAND_LINE, on=stores, by=open_edge(settings))
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    console.print(f"{output}: {len(content):,} bytes", highlight=False)


@app.command("inspect")
def inspect(
    path: Annotated[Path, typer.Argument(help="The bundle.")],
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

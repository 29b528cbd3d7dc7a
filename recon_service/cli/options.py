"""Options that many commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")]
RemoteUrl = Annotated[
    str | None,
    typer.Option(envvar="RECON_URL", help="Through this running service; else in the service's own stores."),
]
Key = Annotated[str | None, typer.Option(help="Default: the variable RECON_API_KEY.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

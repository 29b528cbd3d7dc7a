"""`recon backends`: the reconstruction backends, whether each can be used here, and what mends it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.backends import availability


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the reconstruction backends and whether each can be used here."""
    found = availability()
    if as_json:
        rows = [
            {
                "name": each.backend.name,
                "title": each.backend.title,
                "license": each.backend.license,
                "available": each.problem is None,
                "remark": each.remark,
                "problem": None
                if each.problem is None
                else {
                    "code": each.problem.code,
                    "detail": each.problem.detail,
                    "next_step": each.problem.next_step,
                },
            }
            for each in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("name", "state", "license"):
        table.add_column(heading, no_wrap=heading != "license")
    for each in found:
        state = "[green]available[/]" if each.problem is None else "[yellow]unavailable[/]"
        table.add_row(each.backend.name, state, each.backend.license)
    console = Console()
    console.print(table)
    for each in found:
        said = str(each.problem) if each.problem is not None else each.remark
        if said:
            console.print(f"{each.backend.name}: {said}", highlight=False, markup=False, soft_wrap=True)

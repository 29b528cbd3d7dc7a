"""`recon policies`: the policies, what they ask for, and whether the calibration supports what they claim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.comparison.calibration_file import BUILTIN, RELEASED, load_calibration
from recon_service.comparison.claims import ClaimCheck, checked
from recon_service.comparison.policies import load_policies
from recon_service.domain.errors import InvalidValue

UNSUPPORTED = 1


def command(
    name: Annotated[
        str | None, typer.Argument(help="One policy; it is an error if its claim is not supported.")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="NAME.toml. Default: as released for the dense model."
        ),
    ] = None,
    builtin: Annotated[bool, typer.Option("--builtin", help="As released for the built-in model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the policies and check their claims against a calibration, as the service does when it starts."""
    known = load_policies()
    if name is not None and name not in known:
        raise InvalidValue(
            f"there is no policy {name!r}", next_step=f"Choose one of {', '.join(sorted(known))}."
        )
    measured = load_calibration(calibration or (BUILTIN if builtin else RELEASED))
    found = [checked(policy, measured) for key, policy in known.items() if name in (None, key)]
    if as_json:
        typer.echo(json.dumps([_json(one) for one in found], indent=2))
    else:
        _print(found)
    if name is not None and not found[0].supported:
        raise typer.Exit(UNSUPPORTED)


def _json(one: ClaimCheck) -> dict[str, Any]:
    policy, claim = one.policy, one.policy.claim
    return {
        "name": policy.name,
        "requires": list(policy.requires),
        "may_use": list(policy.may_use),
        "match_above": policy.match_above,
        "no_match_below": policy.no_match_below,
        "least_frames": policy.least_frames,
        "match_on_general": policy.match_on_general,
        "claim": None if claim is None else {"fmr": claim.fmr, "confidence": claim.confidence},
        "calibration": one.calibration,
        "supported": one.supported,
        "refusal": one.refusal,
        "next_step": one.help,
        "bounds": [
            {
                "of": bound.of,
                "fmr_upper_bound": bound.fmr,
                "false_matches": bound.false_matches,
                "pairs_of_people": bound.pairs,
                "people": bound.people,
                "non_mated_comparisons": bound.non_mated,
            }
            for bound in one.bounds
        ],
    }


def _print(found: list[ClaimCheck]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("policy", "requires", "may use", "match from", "claimed FMR", "bound", "people"):
        table.add_column(heading, no_wrap=True)
    table.add_column("supported", no_wrap=True)
    for one in found:
        policy, worst = one.policy, one.bounds[0] if one.bounds else None
        table.add_row(
            policy.name,
            ", ".join(policy.requires),
            ", ".join(policy.may_use),
            f"{policy.match_above:g}",
            f"{100 * policy.claim.fmr:g} %" if policy.claim else "none",
            f"{100 * worst.fmr:.2g} %" if worst else "",
            str(worst.people) if worst else "",
            "[green]yes[/]" if one.supported else "[red]no[/]",
        )
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    for one in found:
        if worst := (one.bounds[0] if one.bounds else None):
            console.print(
                f"{one.policy.name}: weakest is {worst.of}, {worst.false_matches:g} false matches of "
                f"{worst.pairs} pairs of people ({worst.non_mated} non-mated comparisons).",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        if one.refusal:
            console.print(f"{one.refusal}. {one.help}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"calibration: {found[0].calibration}", highlight=False, markup=False, soft_wrap=True)

"""`recon verify`: a depth capture to a running service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from recon_service.cli.client import (
    DEFAULT_URL,
    EXIT_FAULT,
    EXIT_USAGE,
    ServiceClient,
    path_of,
    read_parts,
    stop,
)
from recon_service.domain.kiosk_proof import capture_proof, capture_statement

EXIT_CODES = {"MATCH": 0, "NO_MATCH": 1, "PRESENTATION_ATTACK": 1, "INCONCLUSIVE": 4}


def command(
    subject: Annotated[str, typer.Argument(help="The subject to verify.")],
    depth: Annotated[
        list[Path], typer.Option(help="Depth map: 16-bit PNG or NPY; several of one visit are better.")
    ],
    intrinsics: Annotated[
        Path,
        typer.Option(help="JSON with width, height, fx, fy, cx, cy; optional millimetres_per_unit, camera."),
    ],
    image: Annotated[
        list[Path] | None, typer.Option(help="Aligned picture per depth map, color or infrared.")
    ] = None,
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    api_key: Annotated[str | None, typer.Option(help="Default: the variable RECON_API_KEY.")] = None,
    kiosk_session: Annotated[
        bool,
        typer.Option(help="Open a kiosk session for this visit, which a service in production asks for."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Verify a depth capture, through a running service.

    Exit codes: 0 match, 1 no match or a presentation attack, 4 inconclusive, 2 wrong use, 3 the service
    failed.
    """
    try:
        camera = intrinsics.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        stop(EXIT_USAGE, f"{intrinsics} cannot be read.", "")
    client = ServiceClient(url, api_key)
    depth_parts, image_parts = read_parts("depth", depth), read_parts("image", image or [])
    session = client.kiosk_session(subject) if kiosk_session else {}
    if session:
        statement = capture_statement(
            session_id=session["session_id"],
            subject_id=subject,
            depth=[content for _, (_, content) in depth_parts],
            images=[content for _, (_, content) in image_parts],
            intrinsics=camera,
        )
        session = {
            "Kiosk-Session": session["session_id"],
            "Kiosk-Proof": capture_proof(session["nonce"], statement),
        }
    answer = client.post(
        f"{path_of(subject)}/verifications",
        parts=[*depth_parts, *image_parts],
        fields={"intrinsics": camera},
        headers=session,
    ).json()
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        _show(answer)
    raise typer.Exit(EXIT_CODES.get(answer.get("decision", ""), EXIT_FAULT))


def _show(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    color = {0: "green", 1: "red"}.get(EXIT_CODES.get(answer["decision"], EXIT_FAULT), "yellow")
    console = Console()
    score = "" if answer["score"] is None else f"score {answer['score']:+.2f} (natural log-likelihood ratio)"
    console.print(f"[{color}]{answer['decision']}[/]", score)
    for reason in answer["reasons"]:
        console.print(escape(f"  {reason['code']}: {reason['hint']}"))
    times = ", ".join(f"{stage} {ms:.0f}" for stage, ms in answer["milliseconds"].items())
    console.print(
        escape(f"  policy {answer['policy']}, calibration {answer['calibration']}; ms: {times}"), style="dim"
    )

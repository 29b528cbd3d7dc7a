"""`recon kiosk`: the kiosk client, its cameras, checks and recordings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recon_service.cli import kiosk_run
from recon_service.cli.client import DEFAULT_URL, EXIT_FAULT
from recon_service.cli.kiosk_options import CalledBy, CameraName, KeyFile, Picture, camera_of, key_of
from recon_service.kiosk.cameras import CameraSession, PictureKind
from recon_service.kiosk.cameras.checks import check_frames, require_plausible
from recon_service.kiosk.cameras.parameters import known_cameras, parameters_of

app = typer.Typer(no_args_is_help=True)


@app.command()
def cameras() -> None:
    """List the cameras that are plugged in, and those whose parameters are known."""
    from recon_service.kiosk.cameras import orbbec_sdk, realsense

    console = Console()
    found = [("realsense", *one) for one in realsense.connected()]
    found += [("orbbec", *one) for one in orbbec_sdk.connected()]
    for kind, name, serial in found:
        console.print(escape(f"{kind}:{serial}  {name}"))
    if not found:
        console.print("No camera is plugged in; --camera simulated needs none.")
    table = Table("name", "camera", "range mm", "noise at 500 mm", box=None, header_style="dim")
    for known in known_cameras().values():
        measured = "" if known.measured else " (assumed)"
        span = f"{known.near_mm:g}-{known.far_mm:g}"
        table.add_row(known.name, known.title, span, f"{known.sd_at_500_mm:g} mm{measured}")
    console.print(table)


@app.command()
def check(
    camera: CameraName = "realsense",
    frames: Annotated[int, typer.Option(min=5, max=300, help="How many frames are looked at.")] = 30,
    picture: Picture = PictureKind.COLOR,
    calibration_name: CalledBy = None,
    key_file: KeyFile = None,
    url: Annotated[str, typer.Option(envvar="RECON_URL", help="Address of the service.")] = DEFAULT_URL,
    api_key: Annotated[
        str | None, typer.Option(envvar="RECON_API_KEY", help="Of the kiosk: whether it may verify.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a camera (units, range, alignment, noise, rate), whether the service answers and, with an API
    key, whether it lets the kiosk verify.

    Best with somebody half a meter before the camera; for the noise, with nothing that moves.
    """
    opened = camera_of(camera, picture, calibration_name, key_file, paced=False, loop=True)
    with CameraSession(opened) as session:
        seen = list(session.frames(frames))
        name = opened.camera_name
    found = check_frames(seen, parameters_of(name))
    problem = _problem_of_service(url, api_key or "")
    if as_json:
        said = {"camera": name, "service": not problem, "problem": problem}
        typer.echo(json.dumps({**said, "checks": [asdict(c) for c in found]}, indent=1))
    else:
        console = Console()
        console.print(escape(f"{name}: {len(seen)} frames of {seen[0].camera.width}x{seen[0].camera.height}"))
        for one in found:
            mark = {True: "[green]good[/]", False: "[red]bad [/]", None: "[dim]  - [/]"}[one.good]
            number = f"{one.value:.0f}" if abs(one.value) >= 100 else f"{one.value:.3g}"
            value = "" if one.value != one.value else f"{number} {one.unit}"
            console.print(
                f"{mark} {one.name}:", escape(f"{value}{'; ' if value and one.note else ''}{one.note}")
            )
        mark = "[red]bad [/]" if problem else "[green]good[/]"
        console.print(f"{mark} service:", escape(f"{url}{'; ' if problem else ''}{problem}"))
    require_plausible(found)
    if any(c.good is False for c in found) or problem:
        raise typer.Exit(EXIT_FAULT)


@app.command()
def record(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    camera: CameraName = "realsense",
    frames: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 90,
    picture: Picture = PictureKind.COLOR,
    calibration_name: CalledBy = None,
    key_file: KeyFile = None,
    in_the_clear: Annotated[
        bool,
        typer.Option("--in-the-clear", help="Do not seal it: everybody may see who is on it."),
    ] = False,
) -> None:
    """Record frames of a camera into a folder, sealed with a key."""
    from recon_service.kiosk.cameras.recorder import Recorder

    key = None if in_the_clear else key_of(key_file)
    opened = camera_of(camera, picture, calibration_name, key_file, paced=True, loop=False)
    with Recorder(folder, key=key, in_the_clear=in_the_clear) as recorder, CameraSession(opened) as session:
        count = 0
        for frame in session.frames(frames):
            recorder.add(frame)
            count += 1
    typer.echo(f"{count} frames in {folder}, {'in the clear' if in_the_clear else 'sealed'}")


app.command("run")(kiosk_run.command)


def _problem_of_service(url: str, api_key: str) -> str:
    """Why no visit could be decided there; empty: one could."""
    from recon_service.kiosk.errors import ServiceError
    from recon_service.kiosk.service import Service, Times

    with Service(url, api_key, times=Times(connect=2.0, answer=2.0, visit=2.0)) as service:
        if not service.reachable():
            return "it does not answer, or is not ready"
        try:
            if api_key:
                service.require_admitted()
        except ServiceError as fault:
            return f"{fault.detail}. {fault.next_step}"
    return ""

"""`recon fit`: selfies of one person in, pictures, meshes and a report out; no server, nothing stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from recon_service.application.computing.enroll import EnrollmentResult, Stage, enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.bootstrap import build_pipeline
from recon_service.cli import fit_backend
from recon_service.domain.errors import ReconError
from recon_service.domain.quality import Verdict
from recon_service.rendering.fit_files import REPORT, fit_files
from recon_service.settings import Settings

NOTHING_ACCEPTED = 1
FAULT = 3


def command(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...", exists=True, dir_okay=False, readable=True, help="Selfies, all of one person."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", file_okay=False, help="Folder for the results; made if missing.")
    ] = Path("fit-output"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    backend: Annotated[
        str,
        typer.Option(help="Reconstruct every face with one model instead: see `recon backends`."),
    ] = "",
    raw_json: Annotated[
        bool,
        typer.Option("--raw-json", help="With --backend: print every number of every face, write nothing."),
    ] = False,
    crops: Annotated[
        int, typer.Option(min=1, help="With --backend: displaced crops to average over; 1 is the original.")
    ] = 1,
) -> None:
    """Fit selfies of one person to a 3D identity and write overlays, meshes and a report.

    With --backend: what that reconstruction model makes of each face, without a fit.

    Exit codes: 0 fitted; 1 no image was accepted (the hints say why); 2 usage; 3 a fault of ours.
    """
    console = Console(stderr=True)
    if raw_json and not backend:
        raise typer.BadParameter("--raw-json needs --backend")
    try:
        if backend:
            names = unique_names(images)
            found_any = fit_backend.command(
                images, names, backend, crops=crops, out=out, raw_json=raw_json or as_json
            )
            raise typer.Exit(0 if found_any else NOTHING_ACCEPTED)
        with _bar(console) as bar:
            result, written = run(images, out, build_pipeline(Settings.from_environment()), bar)
    except ReconError as error:
        console.print(f"{error.title} [{error.code}]", style="red", highlight=False, markup=False)
        console.print(str(error), highlight=False, markup=False)
        raise typer.Exit(FAULT) from error
    found = json.loads((out / REPORT).read_text())
    if as_json:
        typer.echo(json.dumps({**found, "files": [str(path) for path in written]}, indent=2))
    else:
        _print(Console(), result, found, written)
    if result.fit is None:
        raise typer.Exit(NOTHING_ACCEPTED)


def run(
    images: Sequence[Path], out: Path, parts: FacePipeline, bar: Progress
) -> tuple[EnrollmentResult, list[Path]]:
    """Fit and write; returns the result and the files written."""
    task = bar.add_task("reading", total=1.0)

    def at(stage: Stage, share: float) -> None:
        bar.update(task, description=stage.value, completed=0.5 * share)

    result = enroll([path.read_bytes() for path in images], parts, progress=at)
    out.mkdir(parents=True, exist_ok=True)
    names = unique_names(images)
    expected = 1 + (6 + 2 * len(result.used) if result.fit is not None else 0)
    written = []
    for number, (name, content) in enumerate(fit_files(result, names, parts.model), start=1):
        (out / name).write_bytes(content)
        written.append(out / name)
        bar.update(task, description="drawing", completed=0.45 + 0.55 * number / expected)
    return result, written


def unique_names(images: Sequence[Path]) -> list[str]:
    """The files' names without suffix, told apart by a number where they are the same or taken."""
    names: list[str] = []
    for path in images:
        name, number = path.stem, 2
        while name in names or name in ("face", "report"):
            name, number = f"{path.stem}-{number}", number + 1
        names.append(name)
    return names


def _bar(console: Console) -> Progress | nullcontext[Progress]:
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print(
    console: Console, result: EnrollmentResult, found: dict[str, Any], written: Sequence[Path]
) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("image", "quality", "yaw", "pitch", "roll", "focal", "expression", "residual"):
        table.add_column(
            heading,
            justify="left" if heading in ("image", "quality") else "right",
            no_wrap=heading != "image",
        )
    for image, selfie in zip(found["images"], result.selfies, strict=True):
        fit = image["fit"]
        score = f"{selfie.quality.score:.0f}" if selfie.quality is not None else ""
        quality = f"[green]{score} accepted[/]" if image["accepted"] else f"[red]{score or '-'} rejected[/]"
        cells = (
            [
                f"{fit['yaw_degrees']:+.0f}°",
                f"{fit['pitch_degrees']:+.0f}°",
                f"{fit['roll_degrees']:+.0f}°",
                f"{fit['focal_px']:.0f} px",
                f"{fit['expression_norm']:.1f}",
                f"{fit['residual_rms']:.2f}",
            ]
            if fit
            else [""] * 6
        )
        table.add_row(image["name"], quality, *cells)
    console.print(table)
    for image in found["images"]:
        for line in _hints(image):
            console.print(f"{image['name']}: {line}", highlight=False, markup=False)
    if result.fit is not None:
        sd = found["identity"]["sd"]
        console.print(
            f"identity: {len(sd)} coefficients of {found['identity']['space']} on {found['model']}; standard"
            f" deviation {min(sd):.2f} to {max(sd):.2f} (1 is knowing nothing)",
            highlight=False,
            markup=False,
        )
    for path in written:
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)


def _hints(image: dict[str, Any]) -> list[str]:
    """What is wrong with an image and what to do, one line each."""
    lines = []
    if image["problem"] is not None:
        lines.append(f"{image['problem']['detail']}. {image['problem']['hint']}".replace("..", "."))
    lines += [
        f"{m['name'].replace('_', ' ')} {m['verdict']}: {m['hint']}"
        for m in image["quality"]
        if m["verdict"] != Verdict.GOOD
    ]
    return lines

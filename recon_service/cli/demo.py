"""`recon demo`: the whole path in a minute, on the real service, with pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from recon_service.bootstrap import build_pipeline
from recon_service.demo.client import Client
from recon_service.demo.comparisons import print_matrix, print_summary
from recon_service.demo.recorded import recorded_people, recordings
from recon_service.demo.service import running_service
from recon_service.demo.show import Progress as Report
from recon_service.demo.show import Show
from recon_service.settings import Settings
from recon_service.simulation.population.portraits import free_portraits

NO_RECORDINGS = (
    "real people: skipped, there are no recorded captures here"
    " (name them with --cases FOLDER, or keep them in a folder 'cases' beside RECON_WEIGHTS_MIRROR)"
)


def command(
    out: Annotated[
        Path, typer.Option("--out", "-o", file_okay=False, help="Folder for pictures and meshes.")
    ] = Path("demo-output"),
    people: Annotated[int, typer.Option(min=2, max=20, help="Simulated people.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the simulated people.")] = 7,
    cases: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Folder of recorded real captures.")
    ] = None,
    keep_real: Annotated[
        bool, typer.Option("--keep-real", help="Also save pictures of the recorded people.")
    ] = False,
) -> None:
    """Start the service, enroll two portraits over HTTP, verify depth captures, and show everything.

    The service runs on a free loopback port with an empty state folder, which is deleted at the end.
    """
    console = Console()
    out.mkdir(parents=True, exist_ok=True)
    with _bar(console) as report:
        report("loading models", 0.0)
        pipeline = build_pipeline(Settings.from_environment())
        console.print(f"model: {pipeline.model.name}", highlight=False)
        report("starting recon serve", 0.0)
        with running_service() as service, Client(service) as client:
            console.print(f"recon serve is ready at {service.url}", highlight=False)
            show = Show(console, client, pipeline, out, report)
            faces = free_portraits()
            show.enroll_portraits(faces)
            show.simulated(list(faces.values()), people=people, seed=seed)
            folder = recordings(cases)
            if folder is not None:
                show.recorded(recorded_people(folder), keep_pictures=keep_real)
            else:
                console.print(NO_RECORDINGS, highlight=False, markup=False)
    console.print(
        "\nScores are natural log-likelihood ratios: above 0 speaks for one person. Bold: genuine.\n"
    )
    for trial in show.trials:
        print_matrix(console, trial)
    print_summary(console, show.trials)
    console.print("\npictures:")
    for path in show.pictures:
        if path.suffix in (".png", ".jpg") and not path.stem.endswith("-depth"):
            console.print(f"  {path}", highlight=False, markup=False, soft_wrap=True)
    console.print("meshes (GLB in meters, PLY and OBJ in millimeters), reports, a depth capture: beside them")


@contextmanager
def _bar(console: Console) -> Iterator[Report]:
    """One line that says what is going on; on no terminal, nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)

"""`recon evaluate`: error rates of a dataset of real or simulated people, through the application's own
code.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import APPEARANCE_AUTO, ModelChoice, build_pipeline, use_one_thread
from recon_service.backends import Backends, files_of
from recon_service.cli.evaluate_attacks import attacks_command
from recon_service.cli.evaluate_display import progress_bar, table
from recon_service.evaluation.cache import ObservationCache, default_cache_folder
from recon_service.evaluation.dataset import Dataset
from recon_service.evaluation.datasets.folder import folder
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.evaluation.datasets.synthetic import Sensor, synthetic
from recon_service.evaluation.harness import Plan, evaluate
from recon_service.evaluation.result import as_json
from recon_service.evaluation.rows import DEFAULT_ROWS, PICTURED_ROWS, Row
from recon_service.simulation.population import PopulationSpec

INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True)
app.command("attacks")(attacks_command)

Root = Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the recordings.")]
Rows = Annotated[
    str, typer.Option(help="Comma-separated rows, <enrollment>-<probe>: image5-depth3,depth1-depth1.")
]
People = Annotated[int | None, typer.Option("--subjects", min=2, help="Only the first so many people.")]
Draws = Annotated[int, typer.Option(min=1, help="Enrollments and visits drawn per person.")]
Seed = Annotated[int, typer.Option(help="Of the draws.")]
Model = Annotated[ModelChoice, typer.Option(help="Canonical model.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ReportTo = Annotated[
    Path | None, typer.Option("--report", file_okay=False, help="Write report.html and result.json here.")
]
CrossValidate = Annotated[
    bool, typer.Option("--cross-validate", help="Scores learned on other people, beside the released one.")
]
Cache = Annotated[
    Path | None,
    typer.Option(file_okay=False, help="Folder for observations (biometric; closed to other users)."),
]


@app.command("kinect2")
def kinect2_command(
    root: Root,
    rows: Rows = ",".join(PICTURED_ROWS),
    subjects: People = None,
    draws: Draws = 18,
    seed: Seed = 0,
    model: Model = ModelChoice.AUTO,
    jobs: Jobs = 2,
    as_json_text: AsJson = False,
    report: ReportTo = None,
    cross_validate: CrossValidate = False,
    cache: Cache = None,
) -> None:
    """Kinect v2 head crops: folders sNN with FF_ir.png and FF_depth.png."""
    plan = Plan(_rows(rows), draws, seed, cross_validate, jobs)
    _run(kinect2(root), subjects, plan, model, cache, as_json_text, report)


@app.command("folder")
def folder_command(
    root: Root,
    rows: Rows = ",".join(DEFAULT_ROWS),
    subjects: People = None,
    draws: Draws = 18,
    seed: Seed = 0,
    model: Model = ModelChoice.AUTO,
    jobs: Jobs = 2,
    as_json_text: AsJson = False,
    report: ReportTo = None,
    cross_validate: CrossValidate = False,
    cache: Cache = None,
) -> None:
    """Your own recordings: SUBJECT/enroll/*.jpg and SUBJECT/probe/VISIT/NN_depth.png (docs/evaluation.md)."""
    plan = Plan(_rows(rows), draws, seed, cross_validate, jobs)
    _run(folder(root), subjects, plan, model, cache, as_json_text, report)


@app.command("synthetic")
def synthetic_command(
    population: Annotated[int, typer.Option(min=0, help="Seed of the population.")] = 0,
    sensor: Annotated[Sensor, typer.Option(help="Simulated depth camera.")] = Sensor.STRUCTURED_LIGHT,
    degraded: Annotated[bool, typer.Option("--degraded", help="Selfies through a poor phone.")] = False,
    images: Annotated[
        bool, typer.Option("--with-images", help="Depth frames come with a color picture.")
    ] = False,
    texture_folder: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="A scan whose colors join the portraits'."),
    ] = None,
    rows: Rows = "image1-depth3,image3-depth3,image5-depth3,depth3-depth3",
    subjects: Annotated[int, typer.Option(min=2, help="How many people.")] = 100,
    seed: Seed = 0,
    model: Model = ModelChoice.AUTO,
    jobs: Jobs = 2,
    as_json_text: AsJson = False,
    report: ReportTo = None,
    cross_validate: CrossValidate = False,
    cache: Cache = None,
) -> None:
    """People who do not exist: rendered selfies, simulated depth. The first run renders them."""
    folder_of_files = ObservationCache.opened(cache or default_cache_folder()).folder / "population"
    spec = PopulationSpec(
        seed=population,
        subjects=subjects,
        texture_folder=str(texture_folder.resolve()) if texture_folder is not None else None,
    )
    dataset = synthetic(spec, sensor=sensor, degraded=degraded, images=images, cache=folder_of_files)
    # Two visits were made and one session of selfies: further draws would repeat them.
    plan = Plan(_rows(rows), 4, seed, cross_validate, jobs)
    _run(dataset, None, plan, model, cache, as_json_text, report)


def pipeline_of(choice: ModelChoice, *, appearance: str = APPEARANCE_AUTO) -> FacePipeline:
    """A pipeline in a process that computes with one thread."""
    use_one_thread()
    return replace(build_pipeline(choice, appearance=appearance), reconstructors=Backends())


def backend_files(plan: Plan) -> dict[str, str]:
    """For each backend in the plan's rows, a name for its files. Raises what keeps it from running, now
    rather than in a child.
    """
    named = {side.backend for row in plan.rows for side in (row.reference, row.probe)} - {""}
    return {name: files_of(name) for name in sorted(named)}


def _rows(names: str) -> tuple[Row, ...]:
    return tuple(dict.fromkeys(Row.parse(name.strip()) for name in names.split(",")))


def _run(
    dataset: Dataset,
    subjects: int | None,
    plan: Plan,
    model: ModelChoice,
    cache: Path | None,
    as_json_text: bool,
    report: Path | None,
) -> None:
    """Standard output carries the result and nothing else."""
    console = Console(stderr=True)
    # Before the children start: numpy reads it when it is first imported.
    use_one_thread()
    if subjects is not None:
        dataset = dataset.first(subjects)
    try:
        with progress_bar(console) as progress:
            progress("loading models", 0, 1)
            # Here too, and first: what is missing is said once, before any child starts.
            pipeline = pipeline_of(model)
            result = evaluate(
                dataset,
                plan,
                partial(pipeline_of, model),
                model_name=pipeline.model.name,
                embedder=f"{pipeline.embedder.name}@{pipeline.embedder.version}" if pipeline.embedder else "",
                backend_files=backend_files(plan),
                calibration=pipeline.calibration,
                cache=ObservationCache.opened(cache or default_cache_folder()),
                report=progress,
            )
    except KeyboardInterrupt:
        console.print("Interrupted. What was observed is kept: the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    if report is not None:
        from recon_service.evaluation.report.page import write_report

        console.print(str(write_report(result, report)), highlight=False, markup=False, soft_wrap=True)
    if as_json_text:
        typer.echo(json.dumps(as_json(result), indent=1))
    else:
        Console(width=None if Console().is_terminal else 140).print(table(result))

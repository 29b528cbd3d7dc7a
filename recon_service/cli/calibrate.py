"""`recon calibrate`: learn how every kind of evidence errs, from recorded and simulated people."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.assembly import APPEARANCE_AUTO, APPEARANCE_OFF, ModelChoice, use_one_thread
from recon_service.cli.evaluate import INTERRUPTED, Cache, Jobs, Model, pipeline_of
from recon_service.cli.evaluate_display import progress_bar
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import (
    RELEASED,
    load_calibration,
    save_calibration,
)
from recon_service.comparison.measured import Measured
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.cache import ObservationCache, default_cache_folder
from recon_service.evaluation.calibrating import learned_calibration
from recon_service.evaluation.dataset import Dataset
from recon_service.evaluation.datasets.folder import folder
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.evaluation.datasets.synthetic import Sensor, synthetic
from recon_service.evaluation.gathering import (
    APPEARANCE_ROWS,
    DEPTH_ROWS,
    ROWS,
    gathered,
    title,
)
from recon_service.evaluation.material import Material
from recon_service.simulation.population import PopulationSpec

RECORDED_DRAWS, SYNTHETIC_DRAWS = 18, 4
Observe = Callable[..., list[Material]]
"""``gathered`` with what is the same for all datasets."""


def command(
    name: Annotated[str, typer.Option(help="Of the calibration: NAME.npz and NAME.toml are written.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the two files.")] = RELEASED.parent,
    kinect2_root: Annotated[
        Path | None, typer.Option("--kinect2", exists=True, file_okay=False, help="Kinect v2 head crops.")
    ] = None,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--folder", exists=True, file_okay=False, help="Your own recordings (repeatable)."),
    ] = None,
    sensors: Annotated[
        list[Sensor] | None,
        typer.Option("--synthetic", help="A simulated camera and its synthetic people (repeatable)."),
    ] = None,
    subjects: Annotated[int, typer.Option(min=7, help="How many synthetic people.")] = 100,
    population: Annotated[int, typer.Option(min=0, help="Seed of the synthetic people.")] = 0,
    accepts: Annotated[
        list[str] | None,
        typer.Option(
            "--accepts",
            help="Calibrations whose templates stay comparable: those made by the same fit (repeatable).",
        ),
    ] = None,
    appearance: Annotated[
        list[str] | None,
        typer.Option(
            "--appearance",
            help="Network whose appearances are calibrated too, of recorded people; the first with every row "
            "(repeatable). Default: what `recon serve` would use.",
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep-score-maps/--drop-score-maps", help="Of other evidence, as now released."),
    ] = True,
    model: Model = ModelChoice.AUTO,
    jobs: Jobs = 2,
    cache: Cache = None,
) -> None:
    """Learn a calibration from recorded and simulated people (docs/calibration.md).

    The files hold statistics of populations alone; what was observed of people stays in the cache folder.
    """
    console = Console(stderr=True)
    use_one_thread()
    store = ObservationCache.opened(cache or default_cache_folder())
    recorded: list[Dataset] = []
    if kinect2_root is not None:
        recorded.append(kinect2(kinect2_root))
    recorded += [folder(root) for root in folders or ()]
    spec = PopulationSpec(seed=population, subjects=subjects)
    rendered = [synthetic(spec, sensor=sensor, cache=store.folder / "population") for sensor in sensors or ()]
    if not recorded and not rendered:
        raise InvalidValue(
            "there is nothing to learn from", next_step="Name --kinect2, --folder or --synthetic."
        )
    try:
        with progress_bar(console) as progress:
            progress("loading models", 0, 1)
            parts = pipeline_of(model).model
            observe = partial(gathered, model_name=parts.name, cache=store, jobs=jobs, report=progress)
            materials, further = _of_recorded(
                recorded, observe, model=model, networks=appearance or [APPEARANCE_AUTO]
            )
            materials += _of_rendered(rendered, observe, model=model)
            released = load_calibration() if keep and RELEASED.exists() else None
            learned = learned_calibration(
                materials,
                name=name,
                space=parts.space,
                accepts=accepts or (),
                provenance={
                    "learned_from": [title(dataset) for dataset in (*recorded, *rendered)],
                    "model": parts.name,
                    # Without the folders of whoever ran it.
                    "command": "recon " + " ".join(_without_paths(sys.argv[1:])),
                },
                score_maps=released.score_maps if released else {},
                further=further,
                appearance=released.appearance if released else None,
                report=progress,
            )
    except KeyboardInterrupt:
        console.print("Interrupted. What was observed is kept: the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    saved = save_calibration(learned, out)
    Console(width=None if Console().is_terminal else 140).print(table(saved))
    typer.echo(f"{saved.identity}: {out / f'{name}.toml'}")


def _of_recorded(
    datasets: Sequence[Dataset], observe: Observe, *, model: ModelChoice, networks: Sequence[str]
) -> tuple[list[Material], list[Material]]:
    """What is learned from with the first network for appearance, and with the further ones."""
    materials: list[Material] = []
    further: list[Material] = []
    for dataset in datasets:
        for number, network in enumerate(networks):
            build = partial(pipeline_of, model, appearance=network)
            one = build().embedder
            found = observe(
                dataset,
                build,
                embedder=f"{one.name}@{one.version}" if one else "",
                draws=RECORDED_DRAWS,
                rows=APPEARANCE_ROWS if number else ROWS,
            )
            (further if number else materials).extend(found)
    return materials, further


def _of_rendered(datasets: Sequence[Dataset], observe: Observe, *, model: ModelChoice) -> list[Material]:
    """All of them wear the same two faces: nothing is to be learned of how they look."""
    materials: list[Material] = []
    for number, dataset in enumerate(datasets):
        build = partial(pipeline_of, model, appearance=APPEARANCE_OFF)
        materials += observe(dataset, build, draws=SYNTHETIC_DRAWS, rows=DEPTH_ROWS if number else ROWS)
    return materials


def table(calibration: Calibration) -> Table:
    """How every pair did on people that it was not learned on."""
    printed = Table(title=calibration.identity, box=SIMPLE_HEAD, pad_edge=False)
    for column in ("reference", "probe"):
        printed.add_column(column, no_wrap=True)
    for column in ("people", "EER %", "before", "Cllr", "min", "at most ±"):
        printed.add_column(column, justify="right", no_wrap=True)
    for (first, second), pair in sorted(calibration.pairs.items()):
        printed.add_row(str(first), str(second), *_figures(pair.measured), f"{pair.score_map.limit:.1f}")
    for key, known in calibration.appearance.maps.items():
        if known.measured is not None:
            lights = " and ".join(sorted(light.value for light in key[2]))
            printed.add_row(key[0], lights, *_figures(known.measured), f"{known.score_map.limit:.1f}")
    for one in calibration.fused:
        kinds = [f"{kind} + {one.embedder}" for kind in one.kinds]
        printed.add_row(*kinds, *_figures(one.measured), "")
    printed.caption = (
        "Cross-validated: nothing was learned from the people who are compared. Before: Cllr without the map."
    )
    printed.caption_justify = "left"
    return printed


def _figures(m: Measured | None) -> tuple[str, ...]:
    if m is None:
        return ("",) * 5
    before = "" if m.cllr_before is None else f"{m.cllr_before:.2f}"
    return str(m.people), f"{100 * m.eer:.1f}", before, f"{m.cllr:.2f}", f"{m.min_cllr:.2f}"


def _without_paths(arguments: list[str]) -> list[str]:
    return [shlex.quote("FOLDER" if "/" in argument else argument) for argument in arguments]

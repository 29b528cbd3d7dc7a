"""`recon evaluate attacks`: how often prints and screens pass, and how often faces do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.assembly import APPEARANCE_OFF, ModelChoice, build_pipeline, use_one_thread
from recon_service.evaluation.attacks import AttackResult, SpeciesResult, evaluate_attacks
from recon_service.evaluation.cache import default_cache_folder
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.evaluation.datasets.synthetic import Sensor, synthetic
from recon_service.simulation.population import PopulationSpec


def attacks_command(
    root: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Kinect v2 head crops; without it simulated people."),
    ] = None,
    sensor: Annotated[Sensor, typer.Option(help="Depth camera of simulated people.")] = Sensor.TIME_OF_FLIGHT,
    subjects: Annotated[int, typer.Option(min=2, help="At most so many people.")] = 20,
    frames: Annotated[int, typer.Option(min=1, help="Of each person, spread over all of theirs.")] = 18,
    seed: Annotated[int, typer.Option(help="Of the artefacts.")] = 0,
    without_picture: Annotated[
        bool, typer.Option("--without-picture", help="The check sees the depth alone.")
    ] = False,
    as_json_text: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Presentation attacks: APCER per species of simulated artefacts, BPCER of the dataset's frames."""
    use_one_thread()
    if root is not None:
        dataset, camera = kinect2(root).first(subjects), Sensor.TIME_OF_FLIGHT.made()
    else:
        cache = default_cache_folder() / "population"
        dataset = synthetic(PopulationSpec(subjects=subjects), sensor=sensor, images=True, cache=cache)
        camera = sensor.made()
    console = Console(stderr=True)
    result = evaluate_attacks(
        dataset,
        camera,
        build_pipeline(ModelChoice.AUTO, appearance=APPEARANCE_OFF),
        frames=frames,
        seed=seed,
        with_picture=not without_picture,
        report=lambda what, done, total: console.print(f"{what} {done}/{total}", highlight=False),
    )
    if as_json_text:
        typer.echo(json.dumps(as_json(result), indent=1))
    else:
        Console(width=None if Console().is_terminal else 120).print(table(result))


def as_json(result: AttackResult) -> dict[str, Any]:
    """Rates are shares, None where nothing was judged."""

    def one(species: SpeciesResult) -> dict[str, Any]:
        return {
            "presentations": species.presentations,
            "errors": species.errors,
            "silent": species.silent,
            "rate": species.rate if species.presentations else None,
            "interval": species.interval,
            "measures": {
                name: dict(zip(("least", "median", "largest"), values, strict=True))
                for name, values in species.measures.items()
            },
        }

    return {
        "dataset": result.dataset,
        "sensor": result.sensor,
        "people": result.people,
        "with_picture": result.with_picture,
        "bpcer": one(result.bona_fide),
        "apcer": {species.name: one(species) for species in result.species},
    }


def table(result: AttackResult) -> Table:
    """For people, in percent."""
    printed = Table(
        title=f"{result.dataset}: {result.people} people, artefacts before {result.sensor}"
        + ("" if result.with_picture else ", depth alone"),
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    printed.add_column("presentation", no_wrap=True)
    for column in ("judged", "not judged", "wrong", "rate %", "95 %"):
        printed.add_column(column, justify="right", no_wrap=True)
    for title, species in (
        ("bona fide (BPCER)", result.bona_fide),
        *((f"{one.name} (APCER)", one) for one in result.species),
    ):
        low, high = species.interval
        printed.add_row(
            title,
            str(species.presentations),
            str(species.silent),
            str(species.errors),
            f"{100 * species.rate:.1f}" if species.presentations else "–",
            f"{100 * low:.1f}–{100 * high:.1f}" if species.presentations else "–",
        )
    return printed

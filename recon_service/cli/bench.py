"""`recon bench`: face detectors side by side."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.appearance.embedder import FaceEmbedder
from recon_service.assembly import (
    APPEARANCE_AUTO,
    load_appearance,
    use_one_thread,
)
from recon_service.cli.progress import progress_bar
from recon_service.detection.registry import DetectorRegistry
from recon_service.detectors import load_dense_template, load_detectors
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.cache import default_cache_folder
from recon_service.evaluation.detectors.benchmark import Plan, measure
from recon_service.evaluation.detectors.embedding import EmbedderFactory
from recon_service.evaluation.detectors.kept import Kept
from recon_service.evaluation.detectors.pairs import read_pairs
from recon_service.evaluation.detectors.result import BenchmarkResult, DetectorResult, as_csv, as_json
from recon_service.evaluation.detectors.small_set import make_small_set
from recon_service.networks.onnx_runtime import Device

INTERRUPTED = 130
BOTH = "both"

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Measure face detectors side by side."""


@app.command("detectors")
def detectors_command(
    root: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help="Folder per person, pairs.csv or pairs.txt."),
    ] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Name all detectors and say which can be had here.")
    ] = False,
    detectors: Annotated[
        str | None, typer.Option(help="Comma-separated names; none: all that can be had here.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or both (where there is a GPU).")] = "cpu",
    pictures: Annotated[int | None, typer.Option(min=2, help="Only so many pictures.")] = None,
    steady: Annotated[int, typer.Option(min=0, help="Pictures of which the jitter is measured.")] = 40,
    batch: Annotated[int, typer.Option(min=1, help="Pictures per call of a detector.")] = 8,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that compute vectors.")] = 2,
    embedder: Annotated[
        str, typer.Option(help="auto (EdgeFace xs), a name of the manifest, a file .onnx, or off.")
    ] = APPEARANCE_AUTO,
    report: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Write result.json, result.csv and charts (PNG) here."),
    ] = None,
    as_json_text: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    cache: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for what was seen (biometric; closed to other users)."),
    ] = None,
) -> None:
    """Verification accuracy, AUC, EER, detection success, time, memory and jitter of every detector.

    An interrupted or killed run goes on where it was.
    """
    use_one_thread()
    registry = load_detectors()
    if list_only:
        _list(registry, as_json_text=as_json_text)
        return
    if root is None:
        raise InvalidValue(
            "no data set was named",
            next_step="Name a folder in the layout of LFW, or make one: recon bench small-set FOLDER.",
        )
    names = _chosen(registry, detectors)
    dataset = read_pairs(root)
    if pictures is not None:
        dataset = dataset.first(pictures)
    if {pair.same for pair in dataset.pairs} != {True, False}:
        raise InvalidValue("too few pictures for pairs of both kinds", next_step="Take more of them.")
    plan = Plan(names, _devices(device), steady, batch, jobs, load_dense_template())
    console = Console(stderr=True)
    network = _network(embedder)
    if network is None:
        console.print(
            "No network for appearance (--embedder): verification is not measured.", highlight=False
        )
    kept = Kept.opened(cache or default_cache_folder())
    try:
        with progress_bar(console) as progress:
            result = measure(dataset, plan, load_detectors, embedder=network, kept=kept, report=progress)
    except KeyboardInterrupt:
        console.print("Interrupted. What was seen is kept: the same command goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    if report is not None:
        _write(result, report)
        console.print(str(report), highlight=False, markup=False, soft_wrap=True)
    if as_json_text:
        typer.echo(json.dumps(as_json(result), indent=1))
    else:
        Console(width=None if Console().is_terminal else 150).print(table(result))


@app.command("small-set")
def small_set_command(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="To be made.")],
    infrared: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Kinect v2 head crops: sNN/FF_ir.png."),
    ] = None,
    per_person: Annotated[int, typer.Option(min=2, help="Pictures of each person.")] = 6,
    subjects: Annotated[int | None, typer.Option(min=1, help="Of the recordings, the first so many.")] = None,
    seed: Annotated[int, typer.Option(help="Of the changes and the pairs.")] = 0,
) -> None:
    """Make a small data set from two free portraits and, where there are any, infrared recordings."""
    made = make_small_set(folder, infrared=infrared, per_person=per_person, subjects=subjects, seed=seed)
    genuine = sum(pair.same for pair in made.pairs)
    typer.echo(
        f"{made.people} people, {len(made.pictures)} pictures, {genuine} genuine and "
        f"{len(made.pairs) - genuine} impostor pairs"
    )


def _network(choice: str) -> tuple[FaceEmbedder, EmbedderFactory] | None:
    network = load_appearance(choice)
    return None if network is None else (network, partial(_network_in_child, choice))


def _network_in_child(choice: str) -> FaceEmbedder:
    use_one_thread()
    network = load_appearance(choice)
    if network is None:
        raise InvalidValue("the network for appearance is gone")
    return network


def _chosen(registry: DetectorRegistry, names: str | None) -> tuple[str, ...]:
    if names is None:
        return tuple(each.kind.name for each in registry.availability() if each.available)
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    for name in chosen:
        registry.kind(name)
    return chosen


def _devices(choice: str) -> tuple[Device, ...]:
    if choice == BOTH:
        return (Device.CPU, Device.CUDA)
    if choice not in (Device.CPU, Device.CUDA):
        raise InvalidValue(f"{choice!r} is no device", next_step="Use cpu, cuda or both.")
    return (Device(choice),)


def _list(registry: DetectorRegistry, *, as_json_text: bool) -> None:
    rows = registry.availability()
    if as_json_text:
        typer.echo(
            json.dumps(
                [
                    {
                        "name": row.kind.name,
                        "title": row.kind.title,
                        "landmarks": row.kind.scheme,
                        "available": row.available,
                        "why_not": row.fault.detail if row.fault is not None else "",
                        "mend": row.fault.next_step if row.fault is not None else "",
                    }
                    for row in rows
                ],
                indent=1,
            )
        )
        return
    printed = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("name", "title", "landmarks", "here"):
        printed.add_column(column, no_wrap=column != "here")
    for row in rows:
        here = "[green]yes[/]" if row.fault is None else f"[yellow]no[/]: {row.fault}"
        printed.add_row(row.kind.name, row.kind.title, row.kind.scheme, here)
    Console(width=None if Console().is_terminal else 150).print(printed)


def _write(result: BenchmarkResult, folder: Path) -> None:
    from recon_service.evaluation.detectors.charts import write_charts

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")
    (folder / "result.csv").write_text(as_csv(result), encoding="utf-8")
    write_charts(result, folder)


HEADINGS = (
    "accuracy %",
    "±",
    "AUC",
    "EER %",
    "found %",
    "several %",
    "ms",
    "CPU ms",
    "MiB",
    "of process",
    "GPU MiB",
    "jitter %\ncrop",
    "\nnoise",
    "\nall, crop",
)


def table(result: BenchmarkResult) -> Table:
    """The rows for people, in percent."""
    printed = Table(
        title=f"{result.dataset}: {result.people} people, {result.pictures} pictures, "
        f"{result.genuine} genuine and {result.impostor} impostor pairs",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    printed.add_column("detector", no_wrap=True)
    for heading in HEADINGS:
        printed.add_column(heading, justify="right", no_wrap=True)
    for row in result.rows:
        printed.add_row(*_cells(row))
    refused = [f"–  {row.detector} ({row.device}): {row.refused}" for row in result.rows if row.refused]
    printed.caption = "\n".join(
        [f"appearance: {result.embedder or 'none'}; batch {result.batch}; {result.machine}", *refused]
    )
    printed.caption_justify = "left"
    return printed


def _cells(row: DetectorResult) -> list[str]:
    name = row.detector if row.alignment != "dense" else f"{row.detector}, dense"
    name = name if row.device == Device.CPU else f"{name} ({row.device})"
    of = row.verification

    def shown(value: float | None, form: str, factor: float = 1.0) -> str:
        return "–" if value is None else format(factor * value, form)

    return [
        name,
        shown(None if of is None else of.accuracy, ".2f", 100),
        shown(None if of is None else of.accuracy_sd, ".2f", 100),
        shown(None if of is None else of.auc, ".4f"),
        shown(None if of is None else of.eer, ".2f", 100),
        shown(row.detection_success, ".1f", 100),
        shown(row.several_faces, ".1f", 100),
        shown(row.ms_per_picture, ".1f"),
        shown(row.cpu_ms_per_picture, ".1f"),
        shown(row.own_mib, ".0f"),
        shown(row.peak_mib, ".0f"),
        shown(row.gpu_mib, ".0f"),
        shown(row.jitter_crop, ".2f", 100),
        shown(row.jitter_noise, ".2f", 100),
        shown(row.jitter_crop_all, ".2f", 100),
    ]

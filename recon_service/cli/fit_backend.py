"""`recon fit --backend`: what one reconstruction model makes of every face in the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.backends import load_backend
from recon_service.domain.errors import ImageRejected, ReconError
from recon_service.domain.images import Image
from recon_service.imaging import decode_image
from recon_service.reconstruction.backend import BackendOptions
from recon_service.rendering.export import mesh_bytes
from recon_service.rendering.reconstruction import face_numbers, reconstruction_png

Faces = list[dict[str, Any]]


def run(
    images: Sequence[Path], names: Sequence[str], backend: str, *, crops: int, out: Path | None
) -> dict[str, Any]:
    """Reconstruct and, with ``out``, write an overlay and a neutral mesh per face; everything as plain
    values.

    Raises UnknownBackend, WeightsUnavailable, BackendUnavailable. A picture that fails, fails alone.
    """
    model = load_backend(backend, BackendOptions(crops=crops))
    decoded: list[Image | ReconError] = [_decoded(path) for path in images]
    readable = [image for image in decoded if isinstance(image, Image)]
    outcomes = iter(model.reconstruct([(image, None) for image in readable]))
    found: list[dict[str, Any]] = []
    for name, image in zip(names, decoded, strict=True):
        outcome = next(outcomes) if isinstance(image, Image) else image
        entry: dict[str, Any] = {"name": name, "problem": None, "faces": []}
        if isinstance(outcome, ReconError):
            problem = {"code": outcome.code, "detail": outcome.detail, "hint": outcome.next_step}
            entry["problem"] = problem
        else:
            entry["faces"] = [face_numbers(face) for face in outcome]
            if out is not None and isinstance(image, Image):
                out.mkdir(parents=True, exist_ok=True)
                for number, face in enumerate(outcome, start=1):
                    stem = f"{name}-{backend}" + (f"-{number}" if len(outcome) > 1 else "")
                    overlay, mesh = out / f"{stem}.png", out / f"{stem}.glb"
                    overlay.write_bytes(reconstruction_png(image, face))
                    mesh.write_bytes(mesh_bytes(face.neutral, "glb", name=stem))
                    entry["faces"][number - 1]["files"] = [str(overlay), str(mesh)]
        found.append(entry)
    return {"backend": backend, "crops": crops, "images": found}


def show(report: dict[str, Any], console: Console) -> None:
    """A table for people."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("image", "face", "score", "box", "yaw", "pitch", "roll"):
        table.add_column(heading, justify="left" if heading in ("image", "box") else "right")
    for image in report["images"]:
        for number, face in enumerate(image["faces"], start=1):
            box = " ".join(f"{edge:.0f}" for edge in face["box"])
            angles = [f"{face['pose'][name]:+.1f}°" for name in ("yaw", "pitch", "roll")]
            table.add_row(image["name"], str(number), f"{face['score']:.3f}", box, *angles)
    console.print(table)
    for image in report["images"]:
        if image["problem"] is not None:
            told = f"{image['name']}: {image['problem']['detail']} {image['problem']['hint']}"
            console.print(told, highlight=False, markup=False)
        elif not image["faces"]:
            console.print(f"{image['name']}: no face", highlight=False, markup=False)
        for face in image["faces"]:
            for path in face.get("files", ()):
                console.print(path, highlight=False, markup=False, soft_wrap=True)


def command(
    images: Sequence[Path], names: Sequence[str], backend: str, *, crops: int, out: Path, raw_json: bool
) -> bool:
    """Do it and print it; whether any face was found."""
    report = run(images, names, backend, crops=crops, out=None if raw_json else out)
    if raw_json:
        typer.echo(json.dumps(report))
    else:
        show(report, Console())
    return any(image["faces"] for image in report["images"])


def _decoded(path: Path) -> Image | ReconError:
    try:
        return decode_image(path.read_bytes())
    except ImageRejected as problem:
        return problem

"""Files computed on this machine: kept with a record of their digest and of what they were made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recon_service.weights.digest import file_sha256
from recon_service.weights.errors import (
    ALLOW_NONCOMMERCIAL,
    WeightsAltered,
    WeightsMissing,
    WeightsNotAllowed,
)
from recon_service.weights.landing import locked, part_path
from recon_service.weights.manifest import DerivedFile
from recon_service.weights.store import State, WeightStore


def record_path(path: Path) -> Path:
    """The record beside a derived file."""
    return path.with_name(path.name + ".json")


def derived_state(store: WeightStore, file: DerivedFile) -> State:
    """How the file stands; reads and hashes it."""
    path = store.directory / file.path
    if not path.is_file():
        return State.MISSING
    return State.PRESENT if _is_recorded(path) else State.ALTERED


def check_derived_allowed(store: WeightStore, file: DerivedFile) -> None:
    """Raises WeightsNotAllowed for a non-commercial file that nobody allowed."""
    if not (file.commercial_use or store.allow_noncommercial):
        raise WeightsNotAllowed(
            f"{file.name} is not for commercial use (license: {file.license}).",
            next_step=f"For research only, set {ALLOW_NONCOMMERCIAL}=1.",
        )


def locate_derived(store: WeightStore, name: str) -> Path:
    """The derived file of that name, as it was made.

    Raises UnknownWeights, WeightsNotAllowed, WeightsMissing or WeightsAltered, naming the command.
    """
    file = store.manifest.find_derived(name)
    check_derived_allowed(store, file)
    state = derived_state(store, file)
    if state is State.MISSING:
        raise WeightsMissing(f"{file.name} ({file.title}) is not here.", next_step=f"Run: {file.command}")
    if state is State.ALTERED:
        raise WeightsAltered(
            f"{file.name} is not the file that was made here.", next_step=f"Run: {file.command}"
        )
    return store.directory / file.path


def write_derived(store: WeightStore, name: str, content: bytes, *, made_from: Mapping[str, str]) -> Path:
    """Put a derived file and its record in place. made_from: SHA-256 of every source by its name."""
    file = store.manifest.find_derived(name)
    check_derived_allowed(store, file)
    path = store.directory / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path, root=store.directory):
        part = part_path(path)
        part.write_bytes(content)
        record = {"sha256": file_sha256(part), "bytes": len(content), "made_from": dict(made_from)}
        # The file first: between the two renames it counts as altered, which the same command mends.
        part.replace(path)
        beside = part_path(record_path(path))
        beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        beside.replace(record_path(path))
    return path


@dataclass(frozen=True)
class StoredFiles:
    """Declared and derived files of one store: what a backend is loaded from."""

    store: WeightStore

    def locate(self, name: str) -> Path:
        """A declared file. Raises WeightsUnavailable."""
        return self.store.locate(name)

    def locate_derived(self, name: str) -> Path:
        """A derived file. Raises WeightsUnavailable."""
        return locate_derived(self.store, name)


def _is_recorded(path: Path) -> bool:
    try:
        record = json.loads(record_path(path).read_text(encoding="utf-8"))
        return bool(record["sha256"] == file_sha256(path))
    except (OSError, ValueError, KeyError, TypeError):
        return False

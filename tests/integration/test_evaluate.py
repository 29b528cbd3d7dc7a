"""`recon evaluate` on recorded people: a few of them, coarse model."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recon_service.cli.evaluate import app

ROWS = "image2-depth2,image1-depth1"
FIGURES = {
    "name",
    "score",
    "calibration",
    "refused",
    "eer",
    "auc",
    "cllr",
    "min_cllr",
    "fnmr_at_fmr_1e-2",
    "fnmr_at_fmr_1e-2_reason",
    "fnmr_at_fmr_1e-3",
    "fnmr_at_fmr_1e-3_reason",
    "intervals",
    "by_subject",
    "by_pose",
}


@pytest.fixture(scope="module")
def recordings(cases: Path) -> Path:
    return cases / "kinect2_dev"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluated") / "cache"


def arguments(recordings: Path, cache: Path, *more: str) -> list[str]:
    usual = ["--subjects", "3", "--draws", "3", "--rows", ROWS, "--model", "builtin", "--jobs", "1"]
    return ["kinect2", "--root", str(recordings), "--cache", str(cache), *usual, *more]


def run(*given: str) -> tuple[str, str]:
    """What went to standard output and to standard error."""
    done = CliRunner().invoke(app, list(given), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def first(recordings: Path, cache: Path) -> str:
    return run(*arguments(recordings, cache, "--json"))[0]


def test_standard_output_is_one_json_document_of_named_rows(first: str) -> None:
    found = json.loads(first)
    assert found["format"] == "recon-evaluation-1"
    assert (found["dataset"], found["sensor"], found["subjects"]) == ("kinect2", "kinect2", 3)
    assert found["calibration"] == "released"
    assert found["released_calibration"]
    assert [row["name"] for row in found["rows"]] == ROWS.split(",")
    for row in found["rows"]:
        assert row.keys() == FIGURES | {
            "counts",
            "failure_to_enroll_rate",
            "failure_to_acquire_rate",
            "enrollment",
            "probe",
            "scores",
            "normalized_innovation",
        }
        assert [s["name"] for s in row["scores"]] == ["llr", "cosine"]
        assert all(s.keys() == FIGURES for s in row["scores"])
        assert row["eer"] == row["scores"][0]["eer"]
        assert row["score"] == "llr"
        low, high = row["intervals"]["eer"]
        assert 0 <= low <= high <= 1
        assert low <= row["eer"] + 0.05
        counts = row["counts"]
        assert counts["subjects"] == 3
        assert counts["subject_pairs"] == 3
        assert counts["genuine"] >= 9
        assert counts["failures_to_enroll"] == counts["failures_to_acquire"] == 0
        # Three people cannot support a false match rate of 1 %, let alone 0.1 %.
        assert row["fnmr_at_fmr_1e-2"] is None
        assert row["fnmr_at_fmr_1e-2_reason"]
        assert row["fnmr_at_fmr_1e-3"] is None
        assert row["enrollment"]["items_used"] == row["enrollment"]["items"]


def observations(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}


def test_a_second_run_observes_nothing_and_says_the_same(first: str, recordings: Path, cache: Path) -> None:
    kept = observations(cache)
    assert kept
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    again, said = run(*arguments(recordings, cache, "--json"))
    assert again == first
    assert observations(cache) == kept
    total = len(kept)
    assert f"observing {total}/{total}" in said


def test_more_people_use_what_is_kept(first: str, recordings: Path, cache: Path) -> None:
    kept = observations(cache)
    fewer = arguments(recordings, cache, "--json")
    fewer[fewer.index("3")] = "2"
    found = json.loads(run(*fewer)[0])
    assert found["subjects"] == 2
    assert observations(cache) == kept


def test_learned_scores_are_refused_for_three_people(first: str, recordings: Path, cache: Path) -> None:
    found = json.loads(run(*arguments(recordings, cache, "--json", "--cross-validate"))[0])
    assert found["calibration"] == "cross-validated"
    row = found["rows"][0]
    assert row["score"] == "learned-llr"
    assert row["eer"] is None
    assert "too few" in row["refused"]
    assert [s["name"] for s in row["scores"]] == ["learned-llr", "llr", "cosine", "whitened-cosine"]


def test_the_report_is_one_file_that_fetches_nothing(
    first: str, recordings: Path, cache: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    told, said = run(*arguments(recordings, cache, "--report", str(tmp_path / "report")))
    assert "image2-depth2" in told
    assert "report.html" in said
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<svg") >= 7
    assert "<script" not in page
    assert "src=" not in page
    assert "@import" not in page
    for name in (*ROWS.split(","), "3 pairs of people", "can and cannot claim"):
        assert name in page
    assert json.loads((tmp_path / "report" / "result.json").read_text()) == json.loads(first)


def without_times(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: without_times(value) for key, value in found.items() if key != "median_seconds"}
    return [without_times(value) for value in found] if isinstance(found, list) else found


def interrupted(command: list[str], cache: Path) -> tuple[int, str, str]:
    """Start the command and press Ctrl-C after its third observation: exit status, standard output and
    error.
    """

    # Background jobs of a shell inherit that interrupts are ignored, and so would the command.
    command = ["env", "--default-signal=INT", *command]
    # A group of its own: the interrupt reaches the children too, as from a keyboard.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while len(observations(cache)) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        told, said = process.communicate(timeout=60)
    return process.returncode, told, said


def test_an_interrupted_run_goes_on_where_it_stopped(first: str, recordings: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    given = arguments(recordings, cache, "--json")
    given[given.index("--jobs") + 1] = "2"
    command = [sys.executable, "-m", "recon_service", "evaluate", *given]
    status, told, said = interrupted(command, cache)
    assert status == 130
    assert told == ""
    assert "goes on" in said
    kept = observations(cache)
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert without_times(json.loads(finished.stdout)) == without_times(json.loads(first))
    after = observations(cache)
    assert {path: after[path] for path in kept} == kept
    assert not list(cache.rglob("*.part"))
    assert 3 <= len(kept) <= len(after)


def test_a_row_that_does_not_exist_is_told(recordings: Path, cache: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "recon_service",
            "evaluate",
            "kinect2",
            "--root",
            str(recordings),
            "--rows",
            "voice1-depth1",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "voice1 is no side" in done.stderr

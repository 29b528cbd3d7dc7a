"""`recon evaluate` on a small seeded part of the recordings still gives what docs/accuracy.md says.

The part is small (three draws of eleven people, half a minute of one core), the figures of the
documentation come from eighteen draws: the seeded figures are held closely, the documented ones within
their intervals.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recon_service.cli.main import build_app

ROWS = ("landmarks5-depth3", "image5-depth3", "depth3-depth3")
DRAWS = 3
EXPECTED = {
    "landmarks5-depth3": {"eer": 0.143, "auc": 0.891, "cllr": 0.628, "min_cllr": 0.486},
    "image5-depth3": {"eer": 0.164, "auc": 0.894, "cllr": 0.625, "min_cllr": 0.507},
    "depth3-depth3": {"eer": 0.008, "auc": 1.0, "cllr": 0.102, "min_cllr": 0.016},
}
TOLERANCE = {"eer": 0.015, "auc": 0.008, "cllr": 0.08, "min_cllr": 0.05}
"""What another build of the numerical libraries may change; a tenth of what matching skin or depth is
worth.
"""
ACCURACY = Path(__file__).parents[2] / "docs" / "accuracy.md"
SLACK = 2.0
"""Percent beyond the documented interval: fewer draws of the same people."""


@pytest.fixture(scope="module")
def rows(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    words = ["evaluate", "kinect2", "--root", str(cases / "kinect2_dev"), "--rows", ",".join(ROWS)]
    words += ["--model", "dense", "--draws", str(DRAWS), "--seed", "0", "--jobs", "1", "--cross-validate"]
    words += ["--json", "--cache", str(tmp_path_factory.mktemp("observations"))]
    patch = pytest.MonkeyPatch()
    printed: list[str] = []
    patch.setattr("typer.echo", lambda text, **_: printed.append(str(text)))
    try:
        with pytest.raises(SystemExit) as ended:
            build_app(words)(words, prog_name="recon")
    finally:
        patch.undo()
    assert not ended.value.code
    return {row["name"]: row for row in json.loads(printed[-1])["rows"]}


def beyond(figures: dict[str, Any], expected: dict[str, float]) -> dict[str, float]:
    """Which figures are not what they should be, and by how much."""
    off = {name: abs(figures[name] - value) for name, value in expected.items()}
    return {name: value for name, value in off.items() if value > TOLERANCE[name]}


@pytest.mark.parametrize("name", ROWS)
def test_the_seeded_figures_hold(rows: dict[str, dict[str, Any]], name: str) -> None:
    row = rows[name]
    assert row["failure_to_enroll_rate"] == row["failure_to_acquire_rate"] == 0.0
    assert beyond(row, EXPECTED[name]) == {}
    # The least is too good with so few comparisons; with all of them 0.15 is the aim.
    assert row["cllr"] <= row["min_cllr"] + 0.2


@pytest.mark.parametrize("name", ROWS)
def test_they_agree_with_the_documentation(rows: dict[str, dict[str, Any]], name: str) -> None:
    low, high = documented(name)
    assert low - SLACK <= 100 * rows[name]["eer"] <= high + SLACK


def test_the_figures_of_one_row_would_not_pass_for_those_of_another(rows: dict[str, dict[str, Any]]) -> None:
    """The tolerances are narrow enough to notice a part that no longer works."""
    assert beyond(rows["image5-depth3"], EXPECTED["depth3-depth3"])
    assert beyond(rows["depth3-depth3"], EXPECTED["image5-depth3"])
    low, _ = documented("image5-depth3")
    assert 100 * rows["depth3-depth3"]["eer"] < low - SLACK


def documented(name: str) -> tuple[float, float]:
    """The interval of the equal error rate on real people, in percent."""
    real = ACCURACY.read_text(encoding="utf-8").partition("real people")[2]
    line = re.search(
        rf"^\| {name} \| `learned-llr` \|[^|]*\|[^|]*\| ([\d.]+)–([\d.]+) \|", real, re.MULTILINE
    )
    assert line is not None, f"docs/accuracy.md has no figures of {name} on real people"
    return float(line[1]), float(line[2])

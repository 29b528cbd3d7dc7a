from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.detectors.pairs import read_pairs
from recon_service.evaluation.detectors.small_set import make_small_set


def files(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_same_arguments_make_the_same_files(tmp_path: Path) -> None:
    made = [make_small_set(tmp_path / name, infrared=None, per_person=2, seed=5) for name in ("a", "b")]
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert made[0].pairs == made[1].pairs
    other = make_small_set(tmp_path / "c", infrared=None, per_person=2, seed=6)
    assert other.people == 2
    assert files(tmp_path / "c") != files(tmp_path / "a")


def test_recordings_become_people_and_the_list_is_read_back(cases: Path, tmp_path: Path) -> None:
    made = make_small_set(tmp_path / "set", infrared=cases / "kinect2_dev", per_person=2, subjects=3)
    assert made.people == 5
    assert made == read_pairs(tmp_path / "set")
    sides = sorted(cv2.imread(str(p)).shape[0] for p in (tmp_path / "set" / "s00").glob("*.png"))
    # One as it was recorded, one far away in a larger frame.
    assert sides[0] < 150
    assert sides[1] == 320


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidValue, match="not empty"):
        make_small_set(tmp_path, infrared=None)
    assert files(tmp_path) == {Path("mine.txt"): b"mine"}

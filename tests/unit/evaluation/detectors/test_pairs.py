from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.detectors.pairs import FOLDS, read_pairs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four people with three pictures each; their content is never read here."""
    for person in ("Ann_Lee", "Bob", "Cy", "Dee"):
        (tmp_path / person).mkdir()
        for number in (1, 2, 3):
            (tmp_path / person / f"{person}_{number:04d}.jpg").write_bytes(b"")
    return tmp_path


def test_the_list_of_the_original(root: Path) -> None:
    lines = ["2\t2", "Ann_Lee\t1\t2", "Bob\t1\t3", "Ann_Lee\t1\tBob\t2", "Cy\t3\tDee\t1"]
    lines += ["Cy\t1\t2", "Dee\t1\t3", "Ann_Lee\t1\tCy\t2", "Bob\t3\tDee\t1"]
    (root / "pairs.txt").write_text("\n".join(lines) + "\n")
    found = read_pairs(root)
    assert [pair.fold for pair in found.pairs] == [0] * 4 + [1] * 4
    assert [pair.same for pair in found.pairs] == [True, True, False, False] * 2
    assert found.pairs[0].first == "Ann_Lee/Ann_Lee_0001.jpg"
    assert found.pairs[3].second == "Dee/Dee_0001.jpg"
    assert found.people == 4
    assert all((root / picture).is_file() for picture in found.pictures)


def test_the_list_without_its_first_line_is_dealt_to_ten_folds(root: Path) -> None:
    (root / "pairs.txt").write_text("Ann_Lee 1 2\nBob 1 3\nAnn_Lee 1 Bob 2\nCy 3 Dee 1\n")
    pairs = read_pairs(root).pairs
    assert sorted(pair.fold for pair in pairs if pair.same) == [0, 1]
    assert sorted(pair.fold for pair in pairs if not pair.same) == [0, 1]


def test_the_list_with_columns_of_paths(root: Path) -> None:
    (root / "pairs.csv").write_text(
        "first,second,same,fold\n"
        "Bob/Bob_0001.jpg,Bob/Bob_0002.jpg,1,3\n"
        "Bob/Bob_0001.jpg,Cy/Cy_0002.jpg,false,4\n"
    )
    found = read_pairs(root)
    assert [(p.same, p.fold) for p in found.pairs] == [(True, 3), (False, 4)]
    assert found.people == 2


def test_the_list_of_names_and_numbers(root: Path) -> None:
    (root / "pairs.csv").write_text("name,imagenum1,imagenum2,\nAnn_Lee,1,3,\nBob,2,Dee,1\n")
    pairs = read_pairs(root).pairs
    assert {(p.first, p.second, p.same) for p in pairs} == {
        ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0003.jpg", True),
        ("Bob/Bob_0002.jpg", "Dee/Dee_0001.jpg", False),
    }


def test_without_a_list_every_genuine_pair_and_as_many_others(root: Path) -> None:
    found = read_pairs(root)
    genuine = [pair for pair in found.pairs if pair.same]
    others = [pair for pair in found.pairs if not pair.same]
    assert len({(p.first, p.second) for p in genuine}) == 4 * 3
    assert 6 <= len(others) <= len(genuine)
    assert all(Path(p.first).parts[0] == Path(p.second).parts[0] for p in genuine)
    assert all(Path(p.first).parts[0] != Path(p.second).parts[0] for p in others)
    assert read_pairs(root) == found
    for kind in (genuine, others):
        counts = np.bincount([pair.fold for pair in kind], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


def test_fewer_pictures_keep_the_pairs_among_them(root: Path) -> None:
    found = read_pairs(root)
    fewer, more = found.first(5), found.first(8)
    assert len(fewer.pictures) == 5
    assert set(fewer.pictures) <= set(more.pictures)
    assert all({p.first, p.second} <= set(fewer.pictures) for p in fewer.pairs)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("pairs.txt", "Nobody 1 2\nBob 1 Cy 1\n", "Nobody"),
        ("pairs.txt", "Bob 1 9\nBob 1 Cy 1\n", "Bob_0009"),
        ("pairs.txt", "10\t300\nBob\t1\t2\n", "6000"),
        ("pairs.txt", "Bob 1 2\n", "one kind"),
        ("pairs.txt", "Bob 1\nBob 1 2\n", "entries"),
        ("pairs.csv", "first,second,same\nBob/Bob_0001.jpg,Bob/gone.jpg,1\n", "gone"),
        ("pairs.csv", "first,second,same\nBob/Bob_0001.jpg,Bob/Bob_0002.jpg,maybe\n", "maybe"),
    ],
)
def test_a_list_that_cannot_be_right_is_refused(root: Path, name: str, content: str, says: str) -> None:
    (root / name).write_text(content)
    with pytest.raises(InvalidValue, match=says):
        read_pairs(root)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no pictures"):
        read_pairs(tmp_path)

"""Data sets in the layout of Labeled Faces in the Wild: a folder per person, and a list of pairs of pictures.

ROOT/PERSON/PERSON_0001.jpg and so on (any name, .jpg .jpeg .png .webp) ROOT/pairs.txt    the original's: a
line with the number of folds and of pairs of each kind in a fold, then for
                  each fold lines "PERSON n m" (the same person) and lines "PERSON n PERSON m"; also without
                  its first line
ROOT/pairs.csv    either columns first,second,same[,fold] with paths below ROOT, or the three to four
columns of
                  the list that is often passed around (name,imagenum1,imagenum2 and
                  name,imagenum1,name,imagenum2)

Without a list every pair of one person's pictures is a genuine pair, and as many impostor pairs are drawn.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from recon_service.domain.errors import InvalidValue

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, by their paths below the root; fold: 0 to 9, of the cross-validation."""

    first: str
    second: str
    same: bool
    fold: int


@dataclass(frozen=True, slots=True)
class PairedPictures:
    """A data set. pictures: paths below root that take part in a pair, ascending."""

    name: str
    root: Path
    pictures: tuple[str, ...]
    pairs: tuple[Pair, ...]

    @property
    def people(self) -> int:
        return len({Path(picture).parts[0] for picture in self.pictures})

    def first(self, count: int) -> PairedPictures:
        """The first so many pictures of a shuffled order, and the pairs among them."""
        order = sorted(self.pictures, key=lambda p: hashlib.sha256(p.encode()).digest())
        chosen = set(order[:count])
        pairs = tuple(p for p in self.pairs if p.first in chosen and p.second in chosen)
        return PairedPictures(self.name, self.root, tuple(sorted(chosen)), pairs)


def read_pairs(root: Path, *, seed: int = 0) -> PairedPictures:
    """The data set below ``root``. Raises InvalidValue with what is wrong."""
    people = _people(root)
    listed = next((root / name for name in ("pairs.csv", "pairs.txt") if (root / name).is_file()), None)
    try:
        if listed is None:
            pairs = _drawn(people, seed)
        elif listed.suffix == ".csv":
            pairs = _from_csv(listed, people)
        else:
            pairs = _from_txt(listed.read_text(encoding="utf-8").splitlines(), people)
    except (ValueError, IndexError, UnicodeDecodeError, csv.Error) as fault:
        raise InvalidValue(
            f"{listed.name if listed else 'the folder'} cannot be read as a list of pairs: {fault}"
        ) from fault
    pictures = sorted({picture for pair in pairs for picture in (pair.first, pair.second)})
    missing = [picture for picture in pictures if not (root / picture).is_file()]
    if missing:
        raise InvalidValue(
            f"the list of pairs names {len(missing)} pictures that are not there: {missing[0]}"
        )
    if not any(pair.same for pair in pairs) or all(pair.same for pair in pairs):
        raise InvalidValue(
            "the pairs are all of one kind", next_step="Genuine and impostor pairs are needed."
        )
    return PairedPictures(root.resolve().name, root, tuple(pictures), tuple(pairs))


def draw_pairs(root: Path, *, seed: int = 0) -> list[Pair]:
    """The pairs that are compared where there is no list. Raises InvalidValue when there are no pictures."""
    return _drawn(_people(root), seed)


def _people(root: Path) -> dict[str, list[str]]:
    people = {
        folder.name: sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }
    people = {name: files for name, files in people.items() if files}
    if not people:
        raise InvalidValue(
            "there are no pictures of people below the folder",
            next_step="It needs a folder per person with .jpg, .png or .webp files in it.",
        )
    return people


def _from_txt(lines: Sequence[str], people: dict[str, list[str]]) -> list[Pair]:
    rows = [line.split("\t") if "\t" in line else line.split() for line in lines if line.strip()]
    folds = per_kind = 0
    if len(rows[0]) <= 2 and all(each.isdigit() for each in rows[0]):
        counts = [int(each) for each in rows.pop(0)]
        folds, per_kind = (counts[0], counts[1]) if len(counts) == 2 else (1, counts[0])
    found = [_of_row(row, people) for row in rows]
    if folds > 1:
        if len(found) != 2 * folds * per_kind:
            raise ValueError(f"{len(found)} pairs where the first line says {2 * folds * per_kind}")
        return [Pair(*each, fold=number // (2 * per_kind)) for number, each in enumerate(found)]
    return _folded(found)


def _from_csv(path: Path, people: dict[str, list[str]]) -> list[Pair]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row]
    head, rows = rows[0], rows[1:]
    columns = {name.strip().lower(): number for number, name in enumerate(head) if name.strip()}
    if not {"first", "second", "same"} <= columns.keys():
        return _folded([_of_row([cell.strip() for cell in row if cell.strip()], people) for row in rows])
    found = [(row[columns["first"]], row[columns["second"]], _truth(row[columns["same"]])) for row in rows]
    if "fold" in columns:
        return [Pair(*each, fold=int(row[columns["fold"]])) for each, row in zip(found, rows, strict=True)]
    return _folded(found)


def _of_row(row: Sequence[str], people: dict[str, list[str]]) -> tuple[str, str, bool]:
    if len(row) == 3:
        return _picture(row[0], row[1], people), _picture(row[0], row[2], people), True
    if len(row) == 4:
        return _picture(row[0], row[1], people), _picture(row[2], row[3], people), False
    raise ValueError(f"a line has {len(row)} entries")


def _picture(person: str, number: str, people: dict[str, list[str]]) -> str:
    """PERSON/PERSON_0007.jpg for 7."""
    if person not in people:
        raise ValueError(f"there is no folder {person}")
    stem = f"{person}_{int(number):04d}"
    for name in people[person]:
        if Path(name).stem == stem:
            return f"{person}/{name}"
    raise ValueError(f"there is no picture {person}/{stem}")


def _truth(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in {"0", "1", "true", "false", "yes", "no"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered in {"1", "true", "yes"}


def _drawn(people: dict[str, list[str]], seed: int) -> list[Pair]:
    """All genuine pairs, and as many impostor pairs (at least one for each pair of people, where there
    are).
    """
    genuine = [
        (f"{name}/{a}", f"{name}/{b}", True)
        for name, files in people.items()
        for a, b in combinations(files, 2)
    ]
    rng = np.random.default_rng(seed)
    between = list(combinations(sorted(people), 2))
    impostor: dict[tuple[str, str], None] = {}
    for number in range(max(len(genuine), len(between)) if between else 0):
        one, other = between[number % len(between)]
        a, b = (f"{name}/{people[name][rng.integers(len(people[name]))]}" for name in (one, other))
        impostor[(a, b)] = None
    return _folded(genuine + [(a, b, False) for a, b in impostor])


def _folded(pairs: Sequence[tuple[str, str, bool]]) -> list[Pair]:
    """Each kind dealt to the folds in an order that depends on the pair alone."""
    kinds: dict[bool, list[tuple[str, str, bool]]] = defaultdict(list)
    for pair in pairs:
        kinds[pair[2]].append(pair)
    found = []
    for members in kinds.values():
        order = sorted(members, key=lambda p: hashlib.sha256(f"{p[0]}|{p[1]}".encode()).digest())
        found += [Pair(*each, fold=number % FOLDS) for number, each in enumerate(order)]
    return sorted(found, key=lambda p: (p.fold, not p.same, p.first, p.second))

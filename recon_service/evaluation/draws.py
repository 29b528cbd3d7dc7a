"""Which items of a person make up the two sides of a comparison: seeded draws.

A draw puts the groups of a dataset into a random order that is the same for all people; a probe takes from
the front of it, a reference from its back. So the rows of one draw are nested (the three pictures of
``image3`` are among the five of ``image5``, the probes are the same), which makes them comparable, and no
comparison within a draw shares a group, between two people either. Nothing depends on how many people, draws
or rows there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from recon_service.evaluation.dataset import Item, Subject
from recon_service.evaluation.rows import Row, Side

MAX_EXHAUSTIVE = 1000
"""Single items of one kind are all compared up to this number of them; more are drawn."""
GUIDED = 5
"""Of the items of guided sessions so many of each person are compared then: what an enrollment takes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One side of comparisons: what a person shows at enrollment or at a visit."""

    subject: str
    kind: str
    items: tuple[Item, ...]

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(item.group for item in self.items)

    @property
    def pose(self) -> str | None:
        """Of a single item."""
        return self.items[0].pose if len(self.items) == 1 else None


@dataclass(frozen=True, slots=True)
class Drawn:
    """The samples of a row, each once. same: every item against every other of the same kind, so that
    references are probes.
    """

    row: Row
    references: tuple[Sample, ...]
    probes: tuple[Sample, ...]
    same: bool


def drawn(row: Row, subjects: Sequence[Subject], *, draws: int, seed: int) -> Drawn:
    """All samples of a row: ``draws`` per person and side, fewer where two draws coincide. Single items
    against others of the same kind are all taken where they are few enough. People who lack items for a draw
    give none.
    """
    if row.reference == row.probe and row.probe.count == 1:
        every = tuple(
            Sample(subject.name, row.probe.kind, (item,))
            for subject in subjects
            for item in subject.items()
            if item.medium is row.probe.medium
        )
        if len(every) > MAX_EXHAUSTIVE:
            # Draws from a guided session would take its first item for both sides.
            few = min(GUIDED, MAX_EXHAUSTIVE // len(subjects))
            guided = tuple(s for s in every if (rank := s.items[0].rank) is not None and rank < few)
            every = guided or every
        if len(every) <= MAX_EXHAUSTIVE:
            return Drawn(row, every, every, same=True)
    references: dict[Sample, None] = {}
    probes: dict[Sample, None] = {}
    for subject in subjects:
        items = subject.items()
        for draw in range(draws):
            pair = _pair(row, subject.name, items, f"{seed}/{draw}")
            if pair is not None:
                references[pair[0]] = probes[pair[1]] = None
    return Drawn(row, tuple(references), tuple(probes), same=False)


def _pair(row: Row, subject: str, items: Sequence[Item], draw: str) -> tuple[Sample, Sample] | None:
    ordered = sorted(items, key=lambda i: (_rank(draw, i.group), _rank(draw, subject, i.label), i.label))
    probe = _taken(row.probe, ordered)
    reference = _reference(row, ordered[::-1])
    if probe is None or reference is None:
        return None
    first, second = Sample(subject, row.reference.kind, reference), Sample(subject, row.probe.kind, probe)
    return (first, second) if first.groups.isdisjoint(second.groups) else None


def _reference(row: Row, ordered: Sequence[Item]) -> tuple[Item, ...] | None:
    if not row.strengthened:
        return _taken(row.reference, ordered)
    enrolled = _taken(Side("image", row.reference.count), ordered)
    visit = _taken(row.probe, ordered)
    return (*enrolled, *visit) if enrolled is not None and visit is not None else None


def _taken(side: Side, ordered: Sequence[Item]) -> tuple[Item, ...] | None:
    """``side.count`` items of the first visit that has so many: the first in order that differ in pose and
    group as far as they can, or the first of a guided session.
    """
    visits: dict[str, list[Item]] = {}
    for item in ordered:
        if item.medium is side.medium:
            visits.setdefault(item.visit, []).append(item)
    for visit in visits.values():
        if len(visit) < side.count:
            continue
        if all(item.rank is not None for item in visit):
            return tuple(sorted(visit, key=lambda item: item.rank or 0)[: side.count])
        taken: list[Item] = []
        while len(taken) < side.count:
            taken.append(
                min(
                    (item for item in visit if item not in taken),
                    # min is stable: among equally new items the first in order.
                    key=lambda item: (
                        sum(item.pose is not None and item.pose == t.pose for t in taken),
                        sum(item.group == t.group for t in taken),
                    ),
                )
            )
        return tuple(taken)
    return None


def _rank(*words: str) -> bytes:
    return hashlib.sha256("/".join(words).encode()).digest()

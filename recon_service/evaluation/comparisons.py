"""Observations side by side, and the comparisons between them, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.appearance import Appearance
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.draws import Drawn

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Observed:
    """n observations of one side.

    person: (n,) str. kind: (n,) str, the ``EvidenceKind`` of each. mean: (n, K) posterior means. covariance:
    (n, K, K). groups: (n,) what the other side of a comparison must not share, a frozenset each.
    appearance: (n, D) means of unit vectors, NaN where there is none. looks: network, version and light of
    each, "" where there is none.
    """

    person: NDArray[np.str_]
    kind: NDArray[np.str_]
    mean: Array
    covariance: Array
    groups: NDArray[np.object_]
    appearance: Array | None = None
    looks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        people: Sequence[str],
        posteriors: Sequence[IdentityPosterior],
        kinds: Sequence[EvidenceKind],
        groups: Sequence[frozenset[str]] | None = None,
        appearances: Sequence[Appearance | None] = (),
    ) -> Observed:
        apart = np.empty(len(people), dtype=np.object_)
        apart[:] = list(groups) if groups is not None else [frozenset()] * len(people)
        return cls(
            np.array(people, dtype=np.str_),
            np.array([str(kind) for kind in kinds], dtype=np.str_),
            np.stack([posterior.mean for posterior in posteriors]),
            np.stack([posterior.covariance for posterior in posteriors]),
            apart,
            *_stacked(appearances),
        )

    def __len__(self) -> int:
        return len(self.person)

    def take(self, rows: Indices | NDArray[np.bool_]) -> Observed:
        """Some of them."""
        return Observed(
            self.person[rows],
            self.kind[rows],
            self.mean[rows],
            self.covariance[rows],
            self.groups[rows],
            None if self.appearance is None else self.appearance[rows],
            tuple(np.array(self.looks, dtype=np.str_)[rows].tolist()) if self.looks else (),
        )

    @staticmethod
    def joined(first: Observed, second: Observed) -> Observed:
        """Both, each observation once, without their appearances: what is learned from both sides together is
        the shape alone.
        """
        if first is second:
            return first
        again = (second.mean[:, None, :4] == first.mean[None, :, :4]).all(axis=2).any(axis=1)
        rest = second.take(~again)
        return Observed(
            np.concatenate([first.person, rest.person]),
            np.concatenate([first.kind, rest.kind]),
            np.concatenate([first.mean, rest.mean]),
            np.concatenate([first.covariance, rest.covariance]),
            np.concatenate([first.groups, rest.groups]),
        )


def _stacked(appearances: Sequence[Appearance | None]) -> tuple[Array | None, tuple[str, ...]]:
    known = [one for one in appearances if one is not None]
    if not known:
        return None, ()
    if len({one.network for one in known}) > 1:
        raise InvalidValue("observations of one side carry appearances of different networks")
    nothing = np.full(len(known[0].mean), np.nan)
    looks = ("" if a is None else f"{a.embedder}/{a.version}/{a.light.value}" for a in appearances)
    return np.stack([nothing if a is None else a.mean for a in appearances]), tuple(looks)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """m comparisons: rows of the references and rows of the probes, (m,) each."""

    reference: Indices
    probe: Indices

    def __len__(self) -> int:
        return len(self.reference)


def comparisons(drawn: Drawn) -> Comparisons:
    """Every reference against every probe that shares no group with it; once per pair where the two sides
    are the same.
    """
    allowed = apart(
        [sample.groups for sample in drawn.references], [sample.groups for sample in drawn.probes]
    )
    if drawn.same:
        allowed = np.triu(allowed, 1)
    reference, probe = np.nonzero(allowed)
    return Comparisons(reference, probe)


def apart(first: Sequence[frozenset[str]], second: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    """(n, m) whether two sides share no group."""
    numbers: dict[frozenset[str], int] = {}
    sides = [
        np.array([numbers.setdefault(groups, len(numbers)) for groups in side], dtype=np.int64)
        for side in (first, second)
    ]
    distinct = list(numbers)
    table = np.array([[one.isdisjoint(other) for other in distinct] for one in distinct], dtype=bool)
    return np.asarray(table.reshape(len(distinct), len(distinct))[np.ix_(sides[0], sides[1])])

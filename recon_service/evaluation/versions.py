"""Two ways of making templates, tried on the same people: rates of both, and whether they differ by more than
chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.application.computing.rescoring import scored
from recon_service.application.records.evaluations import (
    Difference,
    EvaluationOutcome,
    Figure,
    PersonObserved,
    SetFacts,
    SideFigures,
    SideObserved,
)
from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.policy import Policy
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.bootstrap import RESAMPLES, interval, resamples
from recon_service.evaluation.metrics import cllr, equal_error_rate, fnmr_at_fmr
from recon_service.evaluation.rates import people_pairs, refusal

Indices = NDArray[np.int64]
EER, FNMR_AT_FMR, FNMR, FMR, CLLR = "eer", "fnmr_at_fmr", "fnmr", "fmr", "cllr"
RATES = (EER, FNMR_AT_FMR, FNMR, FMR, CLLR)


@dataclass(frozen=True, slots=True)
class Judge:
    """What scores and decides one side."""

    calibration: Calibration
    maps: AppearanceMaps
    policy: Policy


@dataclass(frozen=True, slots=True)
class Measured:
    """Rates of one side by name, and the same of every resample. What cannot be measured is in neither."""

    rates: Mapping[str, float]
    drawn: Mapping[str, list[float]]


def evaluated(
    facts: SetFacts, former: SideObserved, candidate: SideObserved, judges: tuple[Judge, Judge]
) -> EvaluationOutcome:
    """judges: of the former and of the candidate; the policy is one. Only what both ways can compare is
    compared. Raises ModelMismatch, InvalidValue: there are no genuine or no impostor comparisons.
    """
    places = _places(former.people, candidate.people)
    table = np.array(places, dtype=np.int64).reshape(-1, 4)
    first, second = table[:, 0], table[:, 2]
    genuine, impostor = int((first == second).sum()), int((first != second).sum())
    if not genuine or not impostor:
        raise InvalidValue(
            "nothing of the evaluation set can be compared by both ways",
            next_step="It needs two people at least, with selfies that are good enough and visits.",
        )
    policy = judges[0].policy
    claimed = policy.claim.fmr if policy.claim is not None else None
    refused = "the policy claims no false match rate"
    if claimed is not None:
        refused = refusal(claimed, impostor, people_pairs(first, second))
    sides = (former, candidate)
    measured = [
        _measured(
            _scores(side.people, places, judge),
            (first, second),
            facts.people,
            threshold=policy.match_above,
            fmr=None if refused else claimed,
        )
        for side, judge in zip(sides, judges, strict=True)
    ]
    figures = [
        _figures(side, judge, found, facts.people, refused)
        for side, judge, found in zip(sides, judges, measured, strict=True)
    ]
    return EvaluationOutcome(
        dataset=facts.dataset,
        notes=facts.notes,
        row=facts.row,
        people=facts.people,
        genuine=genuine,
        impostor=impostor,
        policy=policy.name,
        claimed_fmr=claimed,
        same=(former.way, former.code) == (candidate.way, candidate.code),
        former=figures[0],
        candidate=figures[1],
        differences=tuple(
            _difference(name, measured[0], measured[1], facts.people)
            for name in RATES
            if name in measured[0].rates
        ),
    )


Place = tuple[int, int, int, int]
"""Person and number of a template, person and number of a visit."""


def _places(former: Sequence[PersonObserved], candidate: Sequence[PersonObserved]) -> list[Place]:
    """Of comparisons whose template and visit there are by both ways."""
    pairs = list(zip(former, candidate, strict=True))
    references = [
        (n, k)
        for n, (one, other) in enumerate(pairs)
        for k in range(min(len(one.references), len(other.references)))
        if one.references[k] is not None and other.references[k] is not None
    ]
    probes = [
        (n, k)
        for n, (one, other) in enumerate(pairs)
        for k in range(min(len(one.probes), len(other.probes)))
        if one.probes[k] is not None and other.probes[k] is not None
    ]
    return [(*reference, *probe) for reference in references for probe in probes]


def _scores(people: Sequence[PersonObserved], places: Sequence[Place], judge: Judge) -> Array:
    """(m,) natural log-likelihood ratios by the kinds of evidence that the policy considers."""
    values = []
    for person, number, other, visit in places:
        reference, probe = people[person].references[number], people[other].probes[visit]
        if reference is None or probe is None:
            raise InvalidValue("a place names what was not seen")
        values.append(judge.policy.considered(scored(reference, probe, judge.calibration, judge.maps)).llr)
    return np.array(values)


def _measured(
    scores: Array, owners: tuple[Indices, Indices], people: int, *, threshold: float, fmr: float | None
) -> Measured:
    """owners: (m,) each, people of the template and of the visit. The same seed draws the same people for
    whichever side.
    """
    first, second = owners
    genuine, impostor = scores[first == second], scores[first != second]
    rates = {
        EER: equal_error_rate(genuine, impostor),
        FNMR: float((genuine < threshold).mean()),
        FMR: float((impostor >= threshold).mean()),
        CLLR: cllr(genuine, impostor),
    }
    drawn: dict[str, list[float]] = {EER: [], FNMR: [], FMR: [], CLLR: []}
    if fmr is not None:
        rates[FNMR_AT_FMR], drawn[FNMR_AT_FMR] = fnmr_at_fmr(genuine, impostor, fmr), []
    for resample in resamples(scores, first, second, people):
        drawn[EER].append(resample.equal_error_rate())
        if fmr is not None:
            drawn[FNMR_AT_FMR].append(resample.fnmr_at(fmr))
    of_genuine = first[first == second]
    one, other = first[first != second], second[first != second]
    costs = np.logaddexp(0, -genuine), np.logaddexp(0, impostor)
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        copies = np.bincount(rng.integers(people, size=people), minlength=people).astype(np.float64)
        weights = copies[of_genuine], copies[one] * copies[other]
        if weights[0].sum() > 0 and weights[1].sum() > 0:
            drawn[FNMR].append(float(np.average(genuine < threshold, weights=weights[0])))
            drawn[FMR].append(float(np.average(impostor >= threshold, weights=weights[1])))
            both = sum(float(np.average(c, weights=w)) for c, w in zip(costs, weights, strict=True))
            drawn[CLLR].append(both / (2 * np.log(2)))
    return Measured(rates, drawn)


def _figures(side: SideObserved, judge: Judge, found: Measured, people: int, refused: str) -> SideFigures:
    references = [one for person in side.people for one in person.references]
    probes = [one for person in side.people for one in person.probes]

    def figure(name: str) -> Figure:
        if name not in found.rates:
            return Figure(None, refused=refused)
        low, high = interval(found.drawn[name], found.rates[name], people) or (None, None)
        return Figure(found.rates[name], low, high)

    return SideFigures(
        way=side.way,
        scored_with=judge.calibration.identity,
        code=side.code[:12],
        enrollments=len(references),
        failed_enrollments=sum(one is None for one in references),
        visits=len(probes),
        failed_visits=sum(one is None for one in probes),
        eer=figure(EER),
        fnmr_at_fmr=figure(FNMR_AT_FMR),
        fnmr=figure(FNMR),
        fmr=figure(FMR),
        cllr=figure(CLLR),
    )


def _difference(name: str, former: Measured, candidate: Measured, people: int) -> Difference:
    value = candidate.rates[name] - former.rates[name]
    pairs = zip(former.drawn[name], candidate.drawn[name], strict=True)
    drawn = [after - before for before, after in pairs]
    low = high = value
    if any(one != value for one in drawn):
        low, high = interval(drawn, value, people) or (value, value)
    # With no spread at all nothing was drawn that differs: that is no evidence of a difference.
    return Difference(name, value, low, high, more_than_chance=low < high and (low > 0 or high < 0))

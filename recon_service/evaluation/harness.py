"""The evaluation as a sentence: draw samples, observe them through the application, compare, count errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from recon_service.comparison.appearance import load_appearance_maps
from recon_service.comparison.calibration import Calibration
from recon_service.domain.arrays import Array
from recon_service.evaluation.appearance_scores import appearance_scores, led_by_appearance
from recon_service.evaluation.cache import ObservationCache
from recon_service.evaluation.comparisons import Comparisons, Observed, comparisons
from recon_service.evaluation.dataset import Dataset
from recon_service.evaluation.draws import Drawn, Sample, drawn
from recon_service.evaluation.innovation import normalized_innovation
from recon_service.evaluation.observing import Observation, evidence_kind
from recon_service.evaluation.rates import people_pairs, rates
from recon_service.evaluation.result import EvaluationResult, Part, RowResult, ScoreResult, SideResult
from recon_service.evaluation.rows import Row
from recon_service.evaluation.running import PipelineFactory, observe_all
from recon_service.evaluation.scores import Scored, Sides, scores

Report = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how.

    draws: samples of each kind per person. jobs: processes.
    """

    rows: tuple[Row, ...]
    draws: int = 18
    seed: int = 0
    cross_validate: bool = False
    jobs: int = 2


def evaluate(
    dataset: Dataset,
    plan: Plan,
    build: PipelineFactory,
    *,
    model_name: str,
    embedder: str = "",
    backend_files: Mapping[str, str] = MappingProxyType({}),
    calibration: Calibration,
    cache: ObservationCache,
    report: Report = lambda what, done, total: None,
) -> EvaluationResult:
    """Measure every row of the plan. The same samples, code and seed give the same result.

    build: the pipeline, in each process; model_name: of its canonical model; embedder: its network for
    appearance; backend_files: what names the files of each reconstruction backend in the rows. Observations
    go to and come from the cache; scores are always computed.
    """
    everything = [drawn(row, dataset.subjects, draws=plan.draws, seed=plan.seed) for row in plan.rows]
    samples = [s for one in everything for s in (*one.references, *one.probes)]
    observations = observe_all(
        samples,
        dataset,
        build,
        model_name=model_name,
        embedder=embedder,
        backend_files=backend_files,
        cache=cache,
        jobs=plan.jobs,
        progress=lambda done, total: report("observing", done, total),
    )
    rows = []
    for number, one in enumerate(everything):
        report(f"comparing {one.row}", number, len(everything))
        rows.append(measured(one, observations, calibration, cross_validate=plan.cross_validate))
    report("done", len(everything), len(everything))
    return EvaluationResult(
        dataset=dataset.name,
        sensor=dataset.sensor,
        people=len(dataset.subjects),
        draws=plan.draws,
        seed=plan.seed,
        model=model_name,
        calibration=calibration.identity,
        cross_validated=plan.cross_validate,
        notes=(*dataset.notes, *_learned_from(calibration)),
        rows=tuple(rows),
    )


def measured(
    one: Drawn,
    observations: Mapping[Sample, Observation],
    calibration: Calibration,
    *,
    cross_validate: bool,
) -> RowResult:
    """Compare the samples of a row and count errors."""
    usable = replace(
        one,
        references=tuple(s for s in one.references if observations[s].posterior is not None),
        probes=tuple(s for s in one.probes if observations[s].posterior is not None),
    )
    failed = [fared(side, observations) for side in (one.references, one.probes)]
    pairs = comparisons(usable)
    names = sorted({s.subject for s in (*usable.references, *usable.probes)})
    number = {name: place for place, name in enumerate(names)}
    owners = [
        np.array([number[s.subject] for s in side], dtype=np.int64)
        for side in (usable.references, usable.probes)
    ]
    first, second = owners[0][pairs.reference], owners[1][pairs.probe]
    genuine = first == second
    empty = RowResult(str(one.row), failed[0], failed[1], len(names), 0, genuine, ())
    if not genuine.any() or genuine.all():
        return replace(
            empty,
            refused="no genuine or no impostor comparison: too few people, items or successful observations",
        )
    references = observed_side(usable.references, observations)
    probes = references if usable.same else observed_side(usable.probes, observations)
    sides = Sides(references, probes, pairs, calibration, one.row.one_kind)
    found = list(scores(sides, cross_validate=cross_validate))
    maps = calibration.appearance.over(load_appearance_maps())
    found += appearance_scores(sides, tuple(found), maps, cross_validate=cross_validate)
    if one.row.leads_with_appearance:
        found = led_by_appearance(found, cross_validate=cross_validate)
    return replace(
        empty,
        people_pairs=people_pairs(first, second),
        scores=tuple(_score(scored, usable, pairs, first, second, names) for scored in found),
        innovation=normalized_innovation(sides) if cross_validate else None,
    )


def _learned_from(calibration: Calibration) -> tuple[str, ...]:
    """What a reader has to know of the released scores."""
    named = calibration.provenance.get("learned_from")
    if not isinstance(named, list) or not named:
        return ()
    learned = ", ".join(str(one) for one in named)
    return (f"The released calibration was learned on {learned}: on the same people its scores flatter.",)


def fared(side: Sequence[Sample], observations: Mapping[Sample, Observation]) -> SideResult:
    """How the samples of a side fared."""
    seen = [observations[sample] for sample in side]
    return SideResult(
        samples=len(seen),
        failures=sum(o.posterior is None for o in seen),
        items=sum(len(sample.items) for sample in side),
        items_used=sum(o.used for o in seen),
        faults=dict(sorted(Counter(fault for o in seen for fault in o.faults).items())),
        median_seconds=float(np.median([o.seconds for o in seen])) if seen else None,
    )


def observed_side(side: Sequence[Sample], observations: Mapping[Sample, Observation]) -> Observed:
    """The samples' posteriors as arrays; every sample must have one."""
    seen = [observations[sample] for sample in side]
    return Observed.of(
        [sample.subject for sample in side],
        [o.posterior for o in seen if o.posterior is not None],
        [evidence_kind(sample, o) for sample, o in zip(side, seen, strict=True)],
        [sample.groups for sample in side],
        [o.appearance for o in seen],
    )


def _score(
    scored: Scored,
    usable: Drawn,
    pairs: Comparisons,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    names: Sequence[str],
) -> ScoreResult:
    if scored.values is None:
        return ScoreResult(scored.name, scored.calibration, None, scored.refused)
    found = rates(scored.values, first, second, len(names), is_llr=scored.is_llr)
    genuine = first == second
    missed = scored.values < threshold_at_eer(scored.values[genuine], scored.values[~genuine])
    people = np.stack([first, second], axis=1)
    by_person = tuple(
        _part(name, genuine, missed, (people == number).any(axis=1)) for number, name in enumerate(names)
    )
    poses = [
        np.array([sample.pose or "" for sample in side], dtype=np.str_)[rows]
        for side, rows in ((usable.references, pairs.reference), (usable.probes, pairs.probe))
    ]
    by_pose: dict[str, tuple[Part, ...]] = {}
    # Where references are probes, a comparison belongs to both of its poses.
    kinds = {"either side": poses} if usable.same else {"enrollment": poses[:1], "probe": poses[1:]}
    for title, ends in kinds.items():
        known = [str(pose) for pose in np.unique(np.concatenate(ends)) if pose]
        by_pose[title] = tuple(
            _part(pose, genuine, missed, np.any([end == pose for end in ends], axis=0)) for pose in known
        )
    return ScoreResult(
        scored.name,
        scored.calibration,
        found,
        values=scored.values,
        by_person=by_person,
        by_pose={title: parts for title, parts in by_pose.items() if parts},
    )


def threshold_at_eer(genuine: Array, impostor: Array) -> float:
    """The score at which the two error rates are closest."""
    levels = np.unique(np.concatenate([genuine, impostor]))
    fnmr = np.searchsorted(np.sort(genuine), levels, "left") / len(genuine)
    fmr = 1.0 - np.searchsorted(np.sort(impostor), levels, "left") / len(impostor)
    return float(levels[np.argmin(np.abs(fnmr - fmr))])


def _part(
    name: str, genuine: NDArray[np.bool_], missed: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> Part:
    g, i = chosen & genuine, chosen & ~genuine
    return Part(
        name,
        int(g.sum()),
        int(i.sum()),
        float(missed[g].mean()) if g.any() else None,
        float(1.0 - missed[i].mean()) if i.any() else None,
    )

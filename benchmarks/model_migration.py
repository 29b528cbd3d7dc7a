"""What it costs to take templates over to another file of the canonical model: error rates against depth
visits under the new one, of templates that were enrolled under it, fitted again from kept evidence, and
carried over as they are.

    python benchmarks/model_migration.py kinect2 --root FOLDER [--draws 6]
    python benchmarks/model_migration.py synthetic [--subjects 40] [--population 0] [--cache FOLDER]

Scores are learned on other people and on templates that were enrolled under the new model, as its calibration
was: what was carried over is compared as if it had been one of those. ``released`` is the calibration that
ships with the new model, and was learned on the people of kinect2 too. Neither appearance nor kept visits
count.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.evidence_refits import refitted
from recon_service.application.computing.kept_evidence import to_bytes
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline, use_one_thread
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import load_calibration, released_for
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.comparisons import Comparisons, Observed, comparisons
from recon_service.evaluation.dataset import Dataset
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.evaluation.datasets.synthetic import Sensor, synthetic
from recon_service.evaluation.draws import Drawn, Sample, drawn
from recon_service.evaluation.metrics import cllr, equal_error_rate, fnmr_at_fmr
from recon_service.evaluation.pair_learning import learned_pair
from recon_service.evaluation.rates import people_pairs, rates, refusal
from recon_service.evaluation.rows import Row
from recon_service.evaluation.scores import calibrated
from recon_service.evaluation.split import SubjectSplit
from recon_service.simulation.population import PopulationSpec

ROWS = ("image3-depth3", "image5-depth3")
MODELS = (ModelChoice.DENSE, ModelChoice.BUILTIN)
WAYS = ("enrolled", "evidence", "posterior")
THRESHOLD = 3.0
"""Where the policy that ships first decides for a match."""


@dataclass(frozen=True, slots=True)
class Seen:
    """posterior None: nothing came of it."""

    posterior: IdentityPosterior | None
    kind: EvidenceKind | None = None


Made = Mapping[tuple[ModelChoice, str], Seen]
"""By the model that is compared under, and how the template came there; of a visit by "probe"."""


def main() -> None:
    """Print one line for each row, direction and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", choices=("kinect2", "synthetic"))
    parser.add_argument("--root", type=Path)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--population", type=int, default=0)
    parser.add_argument("--cache", type=Path, help="folder of rendered people")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    if asked.dataset == "kinect2":
        if asked.root is None:
            parser.error("kinect2 needs --root FOLDER")
        dataset = kinect2(asked.root)
    else:
        spec = PopulationSpec(seed=asked.population, subjects=asked.subjects)
        dataset = synthetic(spec, sensor=Sensor.STRUCTURED_LIGHT, cache=asked.cache)
    rows = [drawn(Row.parse(name), dataset.subjects, draws=asked.draws, seed=0) for name in ROWS]
    references = list(dict.fromkeys(s for one in rows for s in one.references))
    probes = list(dict.fromkeys(s for one in rows for s in one.probes))
    found = observed(dataset, references, probes, jobs=asked.jobs)
    print(f"{dataset.name}, {len(dataset.subjects)} people; EER with 95 %; at {THRESHOLD:g}: FNMR / FMR")
    for one in rows:
        for model in MODELS:
            for line in compared(one, found, model, load_calibration(released_for(NAMES[model]))):
                print(f"{one.row!s:14} under {model.value:8}{line}", flush=True)


NAMES = {ModelChoice.DENSE: "ict-facekit-light", ModelChoice.BUILTIN: "ict-facemesh468-builtin"}


def observed(
    dataset: Dataset, references: Sequence[Sample], probes: Sequence[Sample], *, jobs: int
) -> dict[Sample, Made]:
    """Every sample under both models, on all processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (dataset,)) as pool:
        enrolled = pool.map(_enrolled, references, chunksize=4)
        visited = pool.map(_visited, probes, chunksize=4)
        return dict(zip([*references, *probes], [*enrolled, *visited], strict=True))


_HERE: dict[str, object] = {}


def _start(dataset: Dataset) -> None:
    use_one_thread()
    limits = {"quality_limits": dataset.quality_limits, "image_limits": dataset.image_limits}
    _HERE["pipelines"] = {m: replace(build_pipeline(m, appearance="off"), **limits) for m in MODELS}
    _HERE["subjects"] = {subject.name: subject for subject in dataset.subjects}


def _enrolled(sample: Sample) -> Made:
    """Under each model; and what the other one makes of the evidence, or of the posterior."""
    pipelines: Mapping[ModelChoice, FacePipeline] = _HERE["pipelines"]  # type: ignore[assignment]
    subject = _HERE["subjects"][sample.subject]  # type: ignore[index]
    contents = [subject.picture(item) for item in sample.items]
    made: dict[tuple[ModelChoice, str], Seen] = {}
    for old, new in (MODELS, MODELS[::-1]):
        result = enroll(contents, replace(pipelines[old], most_selfies=len(contents)))
        if result.fit is None or result.kept is None:
            made |= {
                (old, "enrolled"): Seen(None),
                (new, "evidence"): Seen(None),
                (new, "posterior"): Seen(None),
            }
            continue
        used = len(result.used)
        seen = Seen(result.fit.posterior, EvidenceKind.of(result.source, used))
        made[old, "enrolled"] = made[new, "posterior"] = seen
        again = refitted(to_bytes(result.kept), pipelines[new])
        kind = EvidenceKind.of(again.source, used) if again.posterior is not None else None
        made[new, "evidence"] = Seen(again.posterior, kind)
    return made


def _visited(sample: Sample) -> Made:
    pipelines: Mapping[ModelChoice, FacePipeline] = _HERE["pipelines"]  # type: ignore[assignment]
    subject = _HERE["subjects"][sample.subject]  # type: ignore[index]
    made = {}
    for model in MODELS:
        probe = observe([subject.frame(item) for item in sample.items], pipelines[model])
        kind = EvidenceKind.depth(probe.source, len(probe.fits)) if probe.posterior is not None else None
        made[model, "probe"] = Seen(probe.posterior, kind)
    return made


def compared(
    one: Drawn, found: Mapping[Sample, Made], model: ModelChoice, released: Calibration
) -> Iterator[str]:
    """Lines of figures of one row under a model. Only samples of which every way made something take part, so
    that the ways are compared on the same comparisons; how many each lost is said.
    """
    lost = {way: sum(found[s][model, way].posterior is None for s in one.references) for way in WAYS}
    usable = replace(
        one,
        references=tuple(
            s for s in one.references if all(found[s][model, w].posterior is not None for w in WAYS)
        ),
        probes=tuple(s for s in one.probes if found[s][model, "probe"].posterior is not None),
    )
    pairs = comparisons(usable)
    probes = _side(usable.probes, found, (model, "probe"))
    enrolled = _side(usable.references, found, (model, "enrolled"))
    for way in WAYS:
        side = _side(usable.references, found, (model, way))
        title = f" {way:10} lost {lost[way]:2} of {len(one.references):3}"
        ways = {
            "learned": partial(_learned, enrolled, side, probes, pairs),
            "released": partial(_released, side, probes, pairs, released),
        }
        if way == "posterior":
            ways["relearned"] = partial(_learned, side, side, probes, pairs)
            ways["general"] = partial(_released, side, probes, pairs, released, general=True)
        for name, score in ways.items():
            yield f"{title} {name:10}{_figures(score(), side, probes, pairs)}"


def _side(samples: Sequence[Sample], found: Mapping[Sample, Made], key: tuple[ModelChoice, str]) -> Observed:
    seen = [found[sample][key] for sample in samples]
    return Observed.of(
        [sample.subject for sample in samples],
        [s.posterior for s in seen if s.posterior is not None],
        [s.kind for s in seen if s.kind is not None],
        [sample.groups for sample in samples],
    )


def _learned(learned_from: Observed, side: Observed, probes: Observed, pairs: Comparisons) -> np.ndarray:
    """Learned on other people: on ``learned_from`` against their visits."""
    split = SubjectSplit.of([*side.person, *probes.person])
    return split.scored(
        side,
        probes,
        pairs,
        learn=lambda a, b: learned_pair(
            learned_from.take(np.isin(learned_from.person, np.unique(a.person))), b, one_kind=False
        ),
        score=calibrated,
    )


def _released(
    side: Observed, probes: Observed, pairs: Comparisons, calibration: Calibration, *, general: bool = False
) -> np.ndarray:
    values = np.full(len(pairs), np.nan)
    kinds = side.kind[pairs.reference], probes.kind[pairs.probe]
    for first, second in sorted(set(zip(*kinds, strict=True))):
        rows = np.flatnonzero((kinds[0] == first) & (kinds[1] == second))
        reference = EvidenceKind.parse(str(first))
        pair = calibration.of(
            reference.general if general else reference, EvidenceKind.parse(str(second))
        ).pair
        here = Comparisons(pairs.reference[rows], pairs.probe[rows])
        values[rows] = calibrated(pair, side, probes, here)
    return values


def _figures(values: np.ndarray, side: Observed, probes: Observed, pairs: Comparisons) -> str:
    names = sorted({*side.person.tolist(), *probes.person.tolist()})
    number = {name: place for place, name in enumerate(names)}
    first, second = (
        np.array([number[str(name)] for name in people])
        for people in (side.person[pairs.reference], probes.person[pairs.probe])
    )
    known = rates(values, first, second, len(names), is_llr=True)
    same = first == second
    genuine, impostor = values[same], values[~same]
    low, high = known.intervals["eer"] or (np.nan, np.nan)
    refused = refusal(1e-2, len(impostor), people_pairs(first, second))
    missed = "   -" if refused else f"{100 * fnmr_at_fmr(genuine, impostor, 1e-2):4.1f}"
    at = 100 * (genuine < THRESHOLD).mean(), 100 * (impostor >= THRESHOLD).mean()
    return (
        f" EER {100 * equal_error_rate(genuine, impostor):4.1f} ({100 * low:.1f}-{100 * high:.1f})"
        f"  FNMR@1% {missed}  Cllr {cllr(genuine, impostor):.3f} (least {known.min_cllr:.3f})"
        f"  at {THRESHOLD:g}: {at[0]:.1f} / {at[1]:.2f}"
    )


if __name__ == "__main__":
    main()

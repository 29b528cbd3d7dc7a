"""Sets of selfies with a stranger among them: how many are noticed, and how many honest sets are refused.

    python benchmarks/strangers.py synthetic [--subjects 40] [--seed 5] [--degraded] [--cache FOLDER]
    python benchmarks/strangers.py kinect2 --root FOLDER [--draws 4]

Every set goes through the enrollment of the application. For each person and size of the set: one set of
their own, and one in which another person's picture of the same pose stands at a random place. `--half 0` and
`--half 1` take every second person only (strangers come from the same half), so that limits that were chosen
on one half are tried on the other. `--appearance off` looks at the skin alone. Intervals are
Clopper-Pearson's, 95 %, with sets as trials; several draws of a person are not independent.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import beta

from recon_service.application.computing.consistency import NOT_ONE_PERSON, STRANGER
from recon_service.application.computing.enroll import EnrollmentResult, enroll
from recon_service.assembly import APPEARANCE_AUTO, ModelChoice, build_pipeline, use_one_thread
from recon_service.evaluation.dataset import Dataset, Item, Medium, Subject
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.evaluation.datasets.synthetic import synthetic
from recon_service.simulation.population import PopulationSpec

SIZES = (2, 3, 5)
SEES_TWO = {STRANGER, NOT_ONE_PERSON}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one set. doubted: it was taken for pictures of two people, or a selfie was left out. ended: the
    enrollment was rejected for it. named: exactly the stranger was named.
    """

    doubted: bool
    ended: bool
    named: bool

    @classmethod
    def of(cls, result: EnrollmentResult, stranger: int | None) -> Outcome:
        out = [
            k for k, s in enumerate(result.selfies) if s.problem is not None and s.problem.code == STRANGER
        ]
        ended = any(code in SEES_TWO for code, _ in result.doubts)
        return cls(bool(out) or ended, ended, out == [stranger])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["synthetic", "kinect2"])
    parser.add_argument("--root", type=Path)
    parser.add_argument("--subjects", type=int, default=40)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--degraded", action="store_true")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--half", type=int, choices=[0, 1])
    parser.add_argument("--appearance", default=APPEARANCE_AUTO)
    given = parser.parse_args()
    use_one_thread()
    dataset: Dataset
    if given.dataset == "kinect2":
        dataset = kinect2(given.root)
    else:
        dataset = synthetic(
            PopulationSpec(seed=given.seed, subjects=given.subjects),
            degraded=given.degraded,
            cache=given.cache,
        )
    people = [s for number, s in enumerate(dataset.subjects) if given.half in (None, number % 2)]
    pipeline = replace(
        build_pipeline(ModelChoice.AUTO, appearance=given.appearance),
        quality_limits=dataset.quality_limits,
        image_limits=dataset.image_limits,
    )
    network = pipeline.embedder.name if pipeline.embedder is not None else "skin alone"
    print(f"{dataset.name}, {len(people)} people, {pipeline.model.name}, {network}")
    rng = np.random.default_rng(given.seed)
    for size in SIZES:
        honest: list[Outcome] = []
        mixed: list[Outcome] = []
        for _ in range(given.draws):
            for number, subject in enumerate(people):
                items = chosen(subject, size, rng)
                place = int(rng.integers(size))
                other = people[(number + int(rng.integers(1, len(people)))) % len(people)]
                contents = [subject.picture(item) for item in items]
                own = enroll(contents, pipeline)
                honest.append(Outcome.of(own, None))
                contents[place] = other.picture(alike(other, items[place], rng))
                result = enroll(contents, pipeline)
                if all(s.quality is not None and s.quality.accepted for s in result.selfies):
                    mixed.append(Outcome.of(result, place))
        print(f"{size} selfies")
        print(f"  honest sets doubted    {rate([o.doubted for o in honest])}")
        print(f"  of these rejected      {sum(o.ended for o in honest)}")
        print(f"  strangers missed       {rate([not o.doubted for o in mixed])}")
        print(f"  stranger named         {rate([o.named for o in mixed])}")
        print(f"  mixed sets rejected    {rate([o.ended for o in mixed])}", flush=True)


def chosen(subject: Subject, size: int, rng: np.random.Generator) -> list[Item]:
    """The first pictures of a guided session, or pictures of different poses."""
    items = [item for item in subject.items() if item.medium is Medium.IMAGE]
    if all(item.rank is not None for item in items):
        return items[:size]
    poses = sorted({item.pose for item in items if item.pose is not None})
    picked = rng.choice(len(poses), size, replace=False)
    return [_any([i for i in items if i.pose == poses[k]], rng) for k in picked]


def alike(subject: Subject, wanted: Item, rng: np.random.Generator) -> Item:
    """A picture of somebody in the same pose, or of the same place in the session."""
    items = [item for item in subject.items() if item.medium is Medium.IMAGE]
    key = "rank" if wanted.rank is not None else "pose"
    return _any([item for item in items if getattr(item, key) == getattr(wanted, key)] or items, rng)


def _any(items: Sequence[Item], rng: np.random.Generator) -> Item:
    return items[int(rng.integers(len(items)))]


def rate(hits: Sequence[bool]) -> str:
    """Count and Clopper-Pearson interval."""
    k, n = sum(hits), len(hits)
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k} of {n} ({100 * low:.1f}-{100 * high:.1f} %)"


if __name__ == "__main__":
    main()

"""What the calibration's choices are worth, on recorded people: shrinkage chosen by nested cross-validation,
and how a calibration learned on few people holds for others.

    python benchmarks/calibration_choices.py --root FOLDER [--cache FOLDER]

Nested: for every pair of people left out, the shrinkage is chosen on the other people alone (least minimal
Cllr of scores that are cross-validated among them), then the two are scored with it. Unseen: people are drawn
at random to learn from, the rest is scored; Cllr less its minimum is what the calibration loses.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from recon_service.assembly import ModelChoice, use_one_thread
from recon_service.cli.evaluate import pipeline_of
from recon_service.comparison.calibration import PairCalibration
from recon_service.domain.arrays import Array
from recon_service.evaluation.cache import ObservationCache, default_cache_folder
from recon_service.evaluation.calibration import min_cllr
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.datasets.kinect2 import kinect2
from recon_service.evaluation.gathering import gathered
from recon_service.evaluation.material import Material
from recon_service.evaluation.metrics import cllr, equal_error_rate
from recon_service.evaluation.pair_learning import (
    DEFAULT,
    Shrinkage,
    inner_split,
    learned_pair,
    learned_score,
    learning_pairs,
    some_of_each,
)
from recon_service.evaluation.split import SubjectSplit

GRID = [Shrinkage(within, share, share) for within, share in product((0.05, 0.15, 0.3), (0.5, 0.75, 0.9))]
ROWS = ("depth1-depth1", "depth3-depth3", "image5-depth3", "image5-image1")
DRAWS = 30


def raw_scores(
    one: Material,
    first: Observed,
    second: Observed,
    pairs: Comparisons,
    split: SubjectSplit,
    choice: Shrinkage,
) -> Array:
    return split.scored(
        first,
        second,
        pairs,
        learn=lambda a, b: learned_score(a, b, one_kind=one.one_kind, shrinkage=choice),
        score=lambda model, a, b, here: model.of_pairs(a.mean, b.mean, here.reference, here.probe),
    )


def chosen(one: Material, first: Observed, second: Observed) -> Shrinkage:
    """The choice that does best among these people."""
    pairs = learning_pairs(first, second)
    same = first.person[pairs.reference] == second.person[pairs.probe]
    split = inner_split(sorted({*first.person.tolist(), *second.person.tolist()}), 4)
    costs = []
    for choice in GRID:
        scores = raw_scores(one, first, second, pairs, split, choice)
        costs.append(min_cllr(scores[same], scores[~same]))
    return GRID[int(np.argmin(costs))]


def nested(one: Material) -> tuple[str, Counter[Shrinkage]]:
    first, second = some_of_each(one.first), some_of_each(one.second)
    pairs = learning_pairs(first, second)
    same = first.person[pairs.reference] == second.person[pairs.probe]
    taken: Counter[Shrinkage] = Counter()

    def learn(a: Observed, b: Observed) -> PairCalibration:
        choice = chosen(one, a, b)
        taken[choice] += 1
        return learned_pair(a, b, one_kind=one.one_kind, shrinkage=choice)

    def score(pair: PairCalibration, a: Observed, b: Observed, here: Comparisons) -> Array:
        return pair.score_map(pair.score.of_pairs(a.mean, b.mean, here.reference, here.probe))

    people = [*first.person.tolist(), *second.person.tolist()]
    values = SubjectSplit.of(people).scored(first, second, pairs, learn=learn, score=score)
    return figures(values[same], values[~same]), taken


def unseen(one: Material, learned_on: int, *, seed: int = 0) -> str:
    first, second = some_of_each(one.first), some_of_each(one.second)
    names = np.array(sorted({*first.person.tolist(), *second.person.tolist()}))
    rng = np.random.default_rng(seed)
    genuine, impostor, excess = [], [], []
    for _ in range(DRAWS):
        inside = rng.permutation(names)[:learned_on]
        a, b = (np.isin(side.person, inside) for side in (first, second))
        pair = learned_pair(first.take(a), second.take(b), one_kind=one.one_kind, shrinkage=DEFAULT)
        x, y = first.take(~a), second.take(~b)
        here = learning_pairs(x, y)
        values = pair.score_map(pair.score.of_pairs(x.mean, y.mean, here.reference, here.probe))
        same = x.person[here.reference] == y.person[here.probe]
        genuine.append(values[same])
        impostor.append(values[~same])
        excess.append(cllr(genuine[-1], impostor[-1]) - min_cllr(genuine[-1], impostor[-1]))
    worst = f"excess of a draw: median {np.median(excess):.3f}, 90 % {np.quantile(excess, 0.9):.3f}"
    return f"{figures(np.concatenate(genuine), np.concatenate(impostor))}  {worst}"


def figures(genuine: Array, impostor: Array) -> str:
    eer = 100 * equal_error_rate(genuine, impostor)
    return f"EER {eer:5.2f} %  Cllr {cllr(genuine, impostor):.3f}  min {min_cllr(genuine, impostor):.3f}"


def report(materials: Sequence[Material]) -> None:
    for one in materials:
        print(f"{one.kinds[0]} against {one.kinds[1]}", flush=True)
        figure, taken = nested(one)
        print(f"  nested choice   {figure}")
        for choice, times in taken.most_common(3):
            print(f"     {times:3d} x within {choice.within}, between {choice.between_kinds}")
        people = len({*one.first.person.tolist(), *one.second.person.tolist()})
        for left_out in (3, 6):
            print(f"  {left_out} unseen people  {unseen(one, people - left_out)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=default_cache_folder())
    arguments = parser.parse_args()
    use_one_thread()
    model = pipeline_of(ModelChoice.AUTO).model.name
    report(
        gathered(
            kinect2(arguments.root),
            partial(pipeline_of, ModelChoice.AUTO),
            model_name=model,
            cache=ObservationCache.opened(arguments.cache),
            draws=18,
            jobs=2,
            rows=ROWS,
        )
    )


if __name__ == "__main__":
    main()

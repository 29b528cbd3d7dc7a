"""Depth against depth on real people: how well one visit's depth frames tell people apart.

    python benchmarks/kinect_depth.py ROOT [--model dense|builtin] [--json FILE]

ROOT holds s00, s01, … (see recon_service/evaluation/kinect2.py). Every capture goes through the
application's own ``observe``: one frame against one of another head pose (all pairs), and three frames
against three (no pose in common, drawn with a fixed seed). Scores: plain cosine of the posterior means, the
log-likelihood ratio with the released noise table, and the cosine after whitening that was learned on the
other people only (both people of a comparison are left out). Intervals: 95 %, bootstrap over people. One
session per person: optimistic.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from recon_service.application.pipeline import FacePipeline
from recon_service.application.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline, use_one_thread
from recon_service.comparison.likelihood_ratio import corrected, log_likelihood_ratio
from recon_service.comparison.noise import load_noise_table
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.kinect2 import CAMERA_NAME, EXPRESSIONS, Kinect2Subject, kinect2_subjects
from recon_service.evaluation.metrics import area_under_curve, cllr, equal_error_rate, fnmr_at_fmr
from recon_service.evaluation.whitening import Whitening, cosine

DRAWS = 18
BOOTSTRAP = 400
SEED = 20

Visit = tuple[str, tuple[int, ...]]
"""A person and the frames of one visit."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparisons:
    """Reference visits against probe visits of the same people; which pairs count, and which are genuine."""

    title: str
    references: Sequence[Visit]
    probes: Sequence[Visit]

    @property
    def people(self) -> list[str]:
        return [name for name, _ in self.references]

    @property
    def genuine(self) -> Mask:
        return np.array([[a[0] == b[0] for b in self.probes] for a in self.references])

    @property
    def no_pose_in_common(self) -> Mask:
        poses = [[{f // EXPRESSIONS for f in v[1]} for v in side] for side in (self.references, self.probes)]
        return np.array([[a.isdisjoint(b) for b in poses[1]] for a in poses[0]])


@dataclass(frozen=True)
class Row:
    """One line of the result. Rates are shares, not percent."""

    row: str
    score: str
    genuine: int
    impostor: int
    auc: float
    eer: float
    eer_interval: tuple[float, float]
    fnmr_at_fmr_1e_2: float
    cllr: float | None


@cache
def pipeline(model: ModelChoice) -> FacePipeline:
    """One per process."""
    use_one_thread()
    return build_pipeline(model)


def fitted(task: tuple[Path, tuple[int, ...], ModelChoice]) -> tuple[IdentityPosterior | None, float]:
    """The posterior of one visit and the seconds it took."""
    folder, frames, model = task
    subject, parts = Kinect2Subject(folder), pipeline(model)
    captures = [subject.depth(frame) for frame in frames]
    start = time.perf_counter()
    probe = observe(captures, parts)
    return probe.posterior, time.perf_counter() - start


def visits_of_three(frames: list[int], rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two visits of three frames each, six different head poses in all."""
    poses = sorted({frame // EXPRESSIONS for frame in frames})
    drawn = [
        int(rng.choice([frame for frame in frames if frame // EXPRESSIONS == pose]))
        for pose in rng.permutation(poses)[:6]
    ]
    return tuple(drawn[:3]), tuple(drawn[3:])


def scores(compared: Comparisons, posteriors: dict[Visit, IdentityPosterior]) -> dict[str, Array]:
    """Score matrices (references, probes) by name."""
    noise = load_noise_table().of(CAMERA_NAME)
    sides = (compared.references, compared.probes)
    means = [np.array([posteriors[v].mean for v in side]) for side in sides]
    seen = [[corrected(posteriors[v], noise) for v in side] for side in sides]
    ratios = np.array([[log_likelihood_ratio(a, b) for b in seen[1]] for a in seen[0]])
    return {
        "cosine": cosine(*means),
        "log-likelihood ratio": ratios,
        "whitened cosine": whitened(compared, means[0], means[1]),
    }


def whitened(compared: Comparisons, references: Array, probes: Array) -> Array:
    """Cosine after whitening, learned for each pair of people on the visits of all others."""
    whose = np.array(compared.people)
    visits = {name: np.concatenate([references[whose == name], probes[whose == name]]) for name in set(whose)}
    result = np.zeros((len(references), len(probes)))
    for one, other in itertools.product(sorted(visits), repeat=2):
        learned = Whitening.learned([x for name, x in visits.items() if name not in (one, other)])
        result[np.ix_(whose == one, whose == other)] = cosine(
            learned(references[whose == one]), learned(probes[whose == other])
        )
    return result


def interval(
    statistic: Callable[[Array, Array], float], score: Array, genuine: Mask, used: Mask, people: list[str]
) -> tuple[float, float]:
    """95 % interval of a statistic by drawing people with replacement."""
    rng, values = np.random.default_rng(0), []
    names, whose = np.unique(people, return_inverse=True)
    for _ in range(BOOTSTRAP):
        copies = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        rows = np.repeat(np.arange(len(whose)), copies[whose])
        # Copies of one person stay one person: comparisons between them are genuine, never impostor.
        drawn = np.ix_(rows, rows)
        counts = used[drawn]
        g, i = score[drawn][genuine[drawn] & counts], score[drawn][~genuine[drawn] & counts]
        if len(g) and len(i):
            values.append(statistic(g, i))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def measured(compared: Comparisons, posteriors: dict[Visit, IdentityPosterior]) -> list[Row]:
    """One row per score."""
    genuine, used = compared.genuine, compared.no_pose_in_common
    rows = []
    for name, score in scores(compared, posteriors).items():
        g, i = score[genuine & used], score[~genuine & used]
        rows.append(
            Row(
                row=compared.title,
                score=name,
                genuine=len(g),
                impostor=len(i),
                auc=area_under_curve(g, i),
                eer=equal_error_rate(g, i),
                eer_interval=interval(equal_error_rate, score, genuine, used, compared.people),
                fnmr_at_fmr_1e_2=fnmr_at_fmr(g, i, 1e-2),
                cllr=cllr(g, i) if name == "log-likelihood ratio" else None,
            )
        )
    return rows


def printed(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    table = Table(title="Depth against depth")
    for column in ("", "score", "genuine", "impostor", "AUC", "EER %", "95 %", "FNMR % at FMR 1 %", "Cllr"):
        table.add_column(column)
    for r in rows:
        low, high = r.eer_interval
        table.add_row(
            r.row,
            r.score,
            f"{r.genuine:,}",
            f"{r.impostor:,}",
            f"{r.auc:.4f}",
            f"{100 * r.eer:.2f}",
            f"{100 * low:.1f}–{100 * high:.1f}",
            f"{100 * r.fnmr_at_fmr_1e_2:.1f}",
            "" if r.cllr is None else f"{r.cllr:.2f}",
        )
    return table


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", type=ModelChoice, default=ModelChoice.AUTO, choices=list(ModelChoice))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console, rng = Console(width=130), np.random.default_rng(SEED)

    subjects = {s.name: s for s in kinect2_subjects(arguments.root)}
    ones: list[Visit] = [(name, (frame,)) for name, s in subjects.items() for frame in s.frames()]
    threes = [(name, visits_of_three(s.frames(), rng)) for name, s in subjects.items() for _ in range(DRAWS)]
    visits = ones + [(name, visit) for name, pair in threes for visit in pair]
    posteriors: dict[Visit, IdentityPosterior] = {}
    seconds = []
    with Progress(console=console) as bar, ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        running = bar.add_task("fitting", total=len(visits))
        work = pool.map(fitted, [(subjects[n].folder, f, arguments.model) for n, f in visits], chunksize=8)
        for visit, (posterior, took) in zip(visits, work, strict=True):
            bar.advance(running)
            if len(visit[1]) == 1:
                seconds.append(took)
            if posterior is not None:
                posteriors[visit] = posterior
    console.print(
        f"{len(subjects)} people, {len(visits)} visits, failures to acquire: "
        f"{len(visits) - len(posteriors)}; "
        f"one frame takes {1000 * float(np.median(seconds)):.0f} ms with {arguments.jobs} processes"
    )
    single = [v for v in ones if v in posteriors]
    pairs = [
        ((name, first), (name, second))
        for name, (first, second) in threes
        if (name, first) in posteriors and (name, second) in posteriors
    ]
    rows = [
        *measured(Comparisons("depth1-depth1", single, single), posteriors),
        *measured(Comparisons("depth3-depth3", [p[0] for p in pairs], [p[1] for p in pairs]), posteriors),
    ]
    console.print(printed(rows))
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"model": arguments.model, "rows": [asdict(r) for r in rows]}, indent=1)
        )


if __name__ == "__main__":
    main()

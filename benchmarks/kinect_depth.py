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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
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

Visit = tuple[str, tuple[int, ...]]


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


def scores(
    references: list[Visit],
    probes: list[Visit],
    posteriors: dict[Visit, IdentityPosterior],
    others: dict[str, Array],
) -> dict[str, Array]:
    """Score matrices (references, probes) by name. others: (n, K) posterior means of each person's visits,
    to learn from.
    """
    noise = load_noise_table().of(CAMERA_NAME)
    means = [np.array([posteriors[v].mean for v in side]) for side in (references, probes)]
    seen = [[corrected(posteriors[v], noise) for v in side] for side in (references, probes)]
    result = {
        "cosine": cosine(*means),
        "log-likelihood ratio": np.array([[log_likelihood_ratio(a, b) for b in seen[1]] for a in seen[0]]),
    }
    whitened = np.zeros((len(references), len(probes)))
    for one, other in itertools.product(sorted(others), repeat=2):
        learned = Whitening.learned([x for name, x in others.items() if name not in (one, other)])
        rows = [i for i, v in enumerate(references) if v[0] == one]
        columns = [j for j, v in enumerate(probes) if v[0] == other]
        whitened[np.ix_(rows, columns)] = cosine(learned(means[0][rows]), learned(means[1][columns]))
    result["whitened cosine"] = whitened
    return result


def interval(
    statistic: Callable[[Array, Array], float], score: Array, same: Array, used: Array, who: Array
) -> list[float]:
    """95 % interval of a statistic by drawing people with replacement."""
    rng, people, values = np.random.default_rng(0), np.unique(who), []
    for _ in range(BOOTSTRAP):
        copies = np.bincount(rng.integers(len(people), size=len(people)), minlength=len(people))
        weight = copies[np.searchsorted(people, who)]
        rows = np.repeat(np.arange(len(who)), weight)
        # Copies of one person are the same person: comparisons between them stay genuine, never impostor.
        drawn = np.ix_(rows, rows)
        g, i = score[drawn][same[drawn] & used[drawn]], score[drawn][~same[drawn] & used[drawn]]
        if len(g) and len(i):
            values.append(statistic(g, i))
    return [float(v) for v in np.percentile(values, [2.5, 97.5])]


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
    console, rng = Console(width=130), np.random.default_rng(20)

    subjects = {s.name: s for s in kinect2_subjects(arguments.root)}
    ones = [(name, (frame,)) for name, s in subjects.items() for frame in s.frames()]
    threes = [(name, visits_of_three(s.frames(), rng)) for name, s in subjects.items() for _ in range(DRAWS)]
    tasks: list[Visit] = ones + [(name, visit) for name, pair in threes for visit in pair]
    posteriors: dict[Visit, IdentityPosterior] = {}
    seconds = []
    with Progress(console=console) as bar, ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        running = bar.add_task("fitting", total=len(tasks))
        work = pool.map(fitted, [(subjects[n].folder, f, arguments.model) for n, f in tasks], chunksize=8)
        for visit, (posterior, took) in zip(tasks, work, strict=True):
            bar.advance(running)
            if len(visit[1]) == 1:
                seconds.append(took)
            if posterior is not None:
                posteriors[visit] = posterior
    failures = len(tasks) - len(posteriors)
    console.print(
        f"{len(subjects)} people, {len(tasks)} visits, failures to acquire: {failures}; one frame "
        f"{1000 * float(np.median(seconds)):.0f} ms (detection, landmarks and fit; {arguments.jobs} processes)"
    )

    def learning(visits: list[Visit]) -> dict[str, Array]:
        return {
            n: np.array([posteriors[v].mean for v in visits if v[0] == n and v in posteriors])
            for n in subjects
        }

    rows = []
    for title, visits, references, probes in (
        ("depth1-depth1", ones, [v for v in ones if v in posteriors], [v for v in ones if v in posteriors]),
        ("depth3-depth3", tasks[len(ones) :], [(n, p[0]) for n, p in threes], [(n, p[1]) for n, p in threes]),
    ):
        who = np.array([v[0] for v in references])
        same = who[:, None] == np.array([v[0] for v in probes])[None]
        pose = [
            np.array([{f // EXPRESSIONS for f in v[1]} for v in side], dtype=object)
            for side in (references, probes)
        ]
        used = np.array([[a.isdisjoint(b) for b in pose[1]] for a in pose[0]])
        for name, score in scores(references, probes, posteriors, learning(visits)).items():
            g, i = score[same & used], score[~same & used]
            rows.append(
                {
                    "row": title,
                    "score": name,
                    "genuine": len(g),
                    "impostor": len(i),
                    "auc": area_under_curve(g, i),
                    "eer": equal_error_rate(g, i),
                    "eer_interval": interval(equal_error_rate, score, same, used, who),
                    "fnmr_at_fmr_1e-2": fnmr_at_fmr(g, i, 1e-2),
                    "cllr": cllr(g, i) if name.startswith("log") else None,
                }
            )
    table = Table(title="Depth against depth, other people's whitening")
    for column in ("", "score", "genuine", "impostor", "AUC", "EER %", "95 %", "FNMR % at FMR 1 %", "Cllr"):
        table.add_column(column)
    for r in rows:
        low, high = r["eer_interval"]
        table.add_row(
            r["row"], r["score"], f"{r['genuine']:,}", f"{r['impostor']:,}", f"{r['auc']:.4f}", f"{100 * r['eer']:.2f}",
            f"{100 * low:.1f}–{100 * high:.1f}", f"{100 * r['fnmr_at_fmr_1e-2']:.1f}",
            "" if r["cllr"] is None else f"{r['cllr']:.2f}",
        )  # fmt: skip
    console.print(table)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"model": arguments.model, "failures": failures, "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()

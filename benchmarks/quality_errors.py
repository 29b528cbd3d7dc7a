"""Whether the quality of selfies tells beforehand which enrollments will fail: error versus discard.

    python benchmarks/quality_errors.py --cache FOLDER [--subjects 80] [--population 1]

Synthetic people enroll twice with three selfies that are spoiled by a random amount of blur, darkness, noise
and lost resolution (none at all for some), and visit a simulated camera. Scores are learned on other people.
Of the genuine comparisons those below the threshold at a false match rate of 1 % count as errors; the quality
of an enrollment is that of its selfies: the mean, of each measure and of all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.verify import observe
from recon_service.assembly import ModelChoice, build_pipeline, use_one_thread
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.discard import discard_curve
from recon_service.evaluation.pair_learning import learned_pair
from recon_service.evaluation.split import SubjectSplit
from recon_service.simulation import StructuredLight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

SELFIES = 3
ENROLLMENTS = 2
DRAWS = 200


def spoiled(content: bytes, severity: np.ndarray, rng: np.random.Generator) -> bytes:
    """A selfie as JPEG after loss of resolution, blur, darkness and noise; severity: (4,), 0 to 1 each."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    size = pixels.shape[1::-1]
    scale = 1.0 - 0.85 * severity[0]
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pixels = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR).astype(np.float64)
    if severity[1] > 0.02:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 8.0 * severity[1])
    pixels *= 1.0 - 0.85 * severity[2]
    pixels += rng.normal(0.0, 25.0 * severity[3], (*pixels.shape[:2], 1))
    return cv2.imencode(".jpg", np.clip(pixels, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])[
        1
    ].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=80)
    parser.add_argument("--population", type=int, default=1)
    arguments = parser.parse_args()
    use_one_thread()
    pipeline = build_pipeline(ModelChoice.DENSE, appearance="off")
    spec = PopulationSpec(seed=arguments.population, subjects=100)
    population = SyntheticPopulation(spec, cache=arguments.cache)
    rng = np.random.default_rng(arguments.population)
    sides: list[dict[str, list]] = [{"people": [], "posteriors": [], "kinds": []} for _ in range(2)]
    qualities: list[dict[str, float]] = []
    refused = 0
    for number in range(arguments.subjects):
        subject = population.subject(number)
        name = f"{number:04d}"
        files = [photograph.content for photograph in subject.photographs(SELFIES)]
        for _ in range(ENROLLMENTS):
            severity = rng.uniform(0.0, 1.0, 4) * (rng.uniform(size=4) < 0.5)
            result = enroll([spoiled(file, severity, rng) for file in files], pipeline)
            if result.fit is None or len(result.used) < SELFIES:
                refused += 1
                continue
            reports = [s.quality for s in result.used if s.quality is not None]
            names = {m.name for m in reports[0].measures}
            found = {
                n: float(np.mean([m.score for r in reports for m in r.measures if m.name == n]))
                for n in names
            }
            found["UNIFIED"] = float(np.mean([r.unified for r in reports]))
            found["WEAKEST GATE"] = float(np.mean([r.score for r in reports]))
            qualities.append(found)
            # All under one kind: a poor picture is not told from a good one.
            add(sides[0], name, result.fit.posterior, EvidenceKind("selfies", "visible", SELFIES))
        probe = observe(subject.visit(StructuredLight(), 0, 3), pipeline)
        if probe.posterior is not None:
            add(sides[1], name, probe.posterior, EvidenceKind.depth(probe.source, 3))
    first, second = (Observed.of(s["people"], s["posteriors"], s["kinds"]) for s in sides)
    rows, others = (grid.ravel() for grid in np.indices((len(first), len(second))))
    pairs = Comparisons(rows, others)
    scores = SubjectSplit.of([*first.person, *second.person]).scored(
        first,
        second,
        pairs,
        learn=lambda a, b: learned_pair(a, b, one_kind=False),
        score=lambda p, a, b, here: p.score_map(p.score.of_pairs(a.mean, b.mean, here.reference, here.probe)),
    )
    same = first.person[rows] == second.person[others]
    threshold = float(np.quantile(scores[~same], 0.99))
    genuine, owners = scores[same], first.person[rows[same]]
    print(
        f"{len(first)} enrollments of {arguments.subjects} people, {refused} refused by the gate or the fit"
    )
    print(f"FNMR at FMR 1 %: {100 * np.mean(genuine < threshold):.1f} % of {len(genuine)} comparisons")
    print("area under the curve up to half discarded, over that of a flat one (95 %, people drawn)")
    lines = []
    for measure in sorted({name for q in qualities for name in q}):
        quality = np.array([q.get(measure, 100.0) for q in qualities])[rows[same]]
        if np.ptp(quality) == 0:
            continue
        curve = discard_curve(genuine, quality, threshold=threshold)
        areas = [redrawn(genuine, quality, owners, threshold, rng) for _ in range(DRAWS)]
        lines.append((curve.area, measure, np.nanquantile(areas, [0.025, 0.975]), curve))
    for area, measure, ends, curve in sorted(lines, key=lambda line: line[0]):
        at = [100 * curve.fnmr[round(share / 0.5 * (len(curve.fnmr) - 1))] for share in (0.1, 0.2, 0.3)]
        cells = ", ".join(f"{value:.1f}" for value in at)
        print(f"{measure:26s} {area:.2f} ({ends[0]:.2f}-{ends[1]:.2f}); FNMR % at 10, 20, 30 % gone: {cells}")
    print(f"a quality that knows the scores: {lines[0][3].best:.2f}")


def add(side: dict[str, list], name: str, posterior: object, kind: EvidenceKind) -> None:
    side["people"].append(name)
    side["posteriors"].append(posterior)
    side["kinds"].append(kind)


def redrawn(
    genuine: np.ndarray, quality: np.ndarray, owners: np.ndarray, threshold: float, rng: np.random.Generator
) -> float:
    """The area of people drawn with replacement; NaN where none of them fails."""
    names = np.unique(owners)
    drawn = np.concatenate([np.flatnonzero(owners == one) for one in rng.choice(names, len(names))])
    if not (genuine[drawn] < threshold).any():
        return float("nan")
    return discard_curve(genuine[drawn], quality[drawn], threshold=threshold).area


if __name__ == "__main__":
    main()

"""Visits frame by frame: what stopping early does to decisions, and what following the head saves.

    python benchmarks/streaming.py synthetic [--subjects 60] [--seed 505] [--sensor structured-light]
        [--enroll images|depth] [--cache FOLDER]
    python benchmarks/streaming.py kinect2 --root FOLDER [--draws 6]

Everybody's visits of five frames are compared with everybody's reference, by the released calibration, after
each frame (synthetic people: five selfies or the three frames of another visit; Kinect: three depth frames in
other poses). A table shows, for fixed numbers of frames and for stopping rules, false matches, genuine
visits without a match, genuine visits refused, and the mean number of frames looked at. Intervals are
Clopper-Pearson's, 95 %, with people (genuine) and pairs of people (impostors) as trials. The second part
measures processor time per frame without pictures, the head looked for anew in each frame and followed.
The last counts frames that were left out because they disagree with the others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from recon_service.application.computing.enroll import enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import StoppingRule, Visit
from recon_service.assembly import APPEARANCE_OFF, ModelChoice, build_pipeline, use_one_thread
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.policies import DEFAULT_POLICY, load_policies
from recon_service.domain.arrays import Array
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.datasets.synthetic import Sensor
from recon_service.evaluation.kinect2 import EXPRESSIONS, kinect2_subjects
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

FRAMES = 5
REFERENCE_FRAMES = 3
POLICY = load_policies()[DEFAULT_POLICY]
RULES = (
    StoppingRule(0.0, 0.0, 1),
    StoppingRule(0.0, 0.0, 2),
    StoppingRule(0.5, 1.0, 2),
    StoppingRule(0.5, 2.0, 2),
    StoppingRule(0.5, 2.0, 3),
    StoppingRule(1.0, 2.0, 2),
)


@dataclass(frozen=True, slots=True)
class Material:
    """One reference and one visit of a person. visit: after each usable frame, in order. draw: comparisons
    are made within one only, so that none shares a pose.
    """

    person: int
    reference: IdentityPosterior
    kind: EvidenceKind
    visit: tuple[IdentityPosterior, ...]
    camera: str
    left_out: int
    draw: int = 0


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["synthetic", "kinect2"])
    parser.add_argument("--root", type=Path)
    parser.add_argument("--subjects", type=int, default=60)
    parser.add_argument("--seed", type=int, default=505)
    parser.add_argument("--sensor", type=Sensor, choices=list(Sensor), default=Sensor.STRUCTURED_LIGHT)
    parser.add_argument("--enroll", choices=["images", "depth"], default="images")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--draws", type=int, default=6)
    given = parser.parse_args()
    use_one_thread()
    pipeline = replace(build_pipeline(ModelChoice.DENSE, appearance=APPEARANCE_OFF), presentation_limits=None)
    if given.dataset == "kinect2":
        material = list(kinect_material(given.root, pipeline, draws=given.draws))
        shown = [[s.depth(n, with_image=False) for n in range(FRAMES)] for s in kinect2_subjects(given.root)]
    else:
        spec = PopulationSpec(seed=given.seed, subjects=given.subjects)
        people = SyntheticPopulation(spec, cache=given.cache)
        material = list(synthetic_material(people, given.sensor, pipeline, images=given.enroll == "images"))
        shown = [p.visit(given.sensor.made(), 1, FRAMES) for p, _ in zip(people, range(12), strict=False)]
    print(f"{len(material)} references and visits of {len({m.person for m in material})} people")
    print(f"frames left out as somebody else's: {sum(m.left_out for m in material)}")
    table(material, pipeline)
    speed(shown, pipeline)


def kinect_material(root: Path, pipeline: FacePipeline, *, draws: int) -> Iterator[Material]:
    """References and visits in different head poses; in each all frames of a visit differ in pose."""
    for person, subject in enumerate(kinect2_subjects(root)):
        poses = len(subject.frames()) // EXPRESSIONS
        for draw in range(draws):
            # The same poses for all people of a draw.
            rng = np.random.default_rng(draw)
            turned = rng.permutation(poses)[: REFERENCE_FRAMES + FRAMES]
            frames = [subject.depth(int(p) * EXPRESSIONS + int(rng.integers(EXPRESSIONS))) for p in turned]
            first, second = frames[:REFERENCE_FRAMES], frames[REFERENCE_FRAMES:]
            yield from (replace(m, draw=draw) for m in _of_depth(person, first, second, pipeline))


def synthetic_material(
    people: SyntheticPopulation, sensor: Sensor, pipeline: FacePipeline, *, images: bool
) -> Iterator[Material]:
    """One reference and one visit of each person; frames without pictures."""
    for person, subject in enumerate(people):
        frames = subject.visit(sensor.made(), 1, FRAMES)
        if not images:
            yield from _of_depth(person, subject.visit(sensor.made(), 0, REFERENCE_FRAMES), frames, pipeline)
            continue
        result = enroll([p.content for p in subject.photographs(5)], pipeline)
        visit, camera, left = _streamed(frames, pipeline)
        if result.fit is not None and visit:
            kind = EvidenceKind.of(result.source, len(result.used))
            yield Material(person, result.fit.posterior, kind, visit, camera, left)


def _of_depth(
    person: int, reference: Sequence[DepthFrame], frames: Sequence[DepthFrame], pipeline: FacePipeline
) -> Iterator[Material]:
    first, camera, _ = _streamed(reference, pipeline)
    visit, _, left = _streamed(frames, pipeline)
    if first and visit:
        yield Material(person, first[-1], EvidenceKind.depth(camera, len(first)), visit, camera, left)


def _streamed(
    frames: Sequence[DepthFrame], pipeline: FacePipeline
) -> tuple[tuple[IdentityPosterior, ...], str, int]:
    """The posterior after each usable frame, the camera, and how many frames disagreed with the others."""
    visit = Visit(pipeline)
    found: list[IdentityPosterior] = []
    for frame in frames:
        visit.add(frame)
        posterior = visit.posterior()
        if posterior is not None and len(visit.agreement().together) > len(found):
            found.append(posterior)
    return tuple(found), frames[0].camera_name, len(visit.agreement().apart)


def table(material: Sequence[Material], pipeline: FacePipeline) -> None:
    """Error rates and mean numbers of frames."""
    draws = np.array([m.draw for m in material])
    first, second = np.nonzero(draws[:, None] == draws[None])
    people = np.array([m.person for m in material])
    pairs = np.stack([people[first], people[second]], axis=1)
    scores = np.stack(
        [
            _scores(material[i], material[j], pipeline)
            for i, j in zip(first.tolist(), second.tolist(), strict=True)
        ]
    )
    print(
        f"{'':36s}false matches               genuine, no match           refused  mean frames (own, other)"
    )
    for frames in range(1, FRAMES + 1):
        _line(f"{frames} frames", scores, np.full(len(scores), frames), pairs)
    for rule in RULES:
        stopped = [_looked_at(trajectory, rule) for trajectory in scores]
        name = f"match +{rule.match_margin:g}, no match -{rule.no_match_margin:g}, from {rule.least_frames}"
        _line(name, scores, np.array(stopped), pairs)


def _looked_at(trajectory: Array, rule: StoppingRule) -> int:
    """Frames until the rule stops, given the score after each."""
    clear = (n for n in range(1, FRAMES) if rule.clear(float(trajectory[n - 1]), n, POLICY))
    return next(clear, FRAMES)


def _scores(reference: Material, probe: Material, pipeline: FacePipeline) -> Array:
    """(FRAMES,) log-likelihood ratios; a visit that gave fewer keeps its last."""
    found = []
    for n in range(FRAMES):
        used = min(n, len(probe.visit) - 1)
        kind = EvidenceKind.depth(probe.camera, used + 1)
        means = reference.reference.mean[None], probe.visit[used].mean[None]
        found.append(float(pipeline.calibration.llr(reference.kind, kind, *means)[0][0]))
    return np.array(found)


def _line(name: str, scores: Array, frames: NDArray[np.int64], pairs: NDArray[np.int64]) -> None:
    llr = scores[np.arange(len(scores)), frames - 1]
    matched, refused = llr >= POLICY.match_above, llr < POLICY.no_match_below
    own = pairs[:, 0] == pairs[:, 1]
    fmr = _rate(matched[~own], len(np.unique(np.sort(pairs[~own], axis=1), axis=0)))
    fnmr = _rate(~matched[own], len(np.unique(pairs[own])))
    print(
        f"{name:34s}  {fmr:27s} {fnmr:27s} {100 * refused[own].mean():5.2f} %  "
        f"{frames[own].mean():.2f}, {frames[~own].mean():.2f}",
        flush=True,
    )


def _rate(errors: NDArray[np.bool_], trials: int) -> str:
    """A share with the interval that so many independent trials support."""
    share = float(errors.mean())
    k = share * trials
    low = beta.ppf(0.025, k, trials - k + 1) if k > 0 else 0.0
    high = beta.ppf(0.975, k + 1, trials - k) if k < trials else 1.0
    return f"{100 * share:.2f} % ({100 * low:.1f}-{100 * high:.1f}; {errors.size})"


def speed(visits: Sequence[Sequence[DepthFrame]], pipeline: FacePipeline) -> None:
    """Processor time of the frames from the third on, which is when the head is followed."""
    anew, followed = [], []
    for frames in visits:
        visit = Visit(pipeline)
        for number, frame in enumerate(frames):
            start = time.process_time()
            visit.add(frame)
            spent = time.process_time() - start
            alone = Visit(pipeline)
            start = time.process_time()
            alone.add(frame)
            if number >= 2:
                anew.append(time.process_time() - start)
                followed.append(spent)
    first, second = 1000 * float(np.median(anew)), 1000 * float(np.median(followed))
    print(
        f"ms per frame without picture: anew {first:.1f}, followed {second:.1f}, ratio {first / second:.2f}"
    )


if __name__ == "__main__":
    main()

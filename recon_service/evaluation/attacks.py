"""Error rates of the check for artefacts, in the words of ISO/IEC 30107-3: APCER, the share of an attack's
presentations that pass for bona fide, per species; BPCER, the share of bona fide presentations taken for
attacks.

Bona fide are the frames of a dataset. An attack shows the picture of such a frame on an artefact, in the
place of the face, measured by a simulated sensor of the dataset's kind. Frame by frame: several frames are
easier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import beta

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.presentations import SeenFace, expected_landmarks, presentation
from recon_service.application.computing.verify import frame_capture, frame_landmarks
from recon_service.depth.cleaning import clean_depth
from recon_service.domain.arrays import Array
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import ReconError
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.presentation import PresentationResult
from recon_service.evaluation.dataset import Dataset, Medium
from recon_service.presentation_attack.face_points import EYES, OUTLINE
from recon_service.simulation.prints import SPECIES, simulate_print
from recon_service.simulation.sensors import DepthSensor

BONA_FIDE = "bona-fide"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class SpeciesResult:
    """presentations: that were judged. errors: attacks that passed, or bona fide taken for attacks. silent:
    presentations on which nothing could be measured (no face found: they end without a match). measures:
    least, median and largest value of each.
    """

    name: str
    presentations: int
    errors: int
    silent: int
    measures: Mapping[str, tuple[float, float, float]]

    @property
    def rate(self) -> float:
        return self.errors / self.presentations if self.presentations else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Exact binomial (Clopper and Pearson), as if presentations were independent."""
        return clopper_pearson(self.errors, self.presentations)


@dataclass(frozen=True, slots=True)
class AttackResult:
    """species: of all artefacts; bona_fide: of the dataset's own frames."""

    dataset: str
    sensor: str
    people: int
    with_picture: bool
    bona_fide: SpeciesResult
    species: tuple[SpeciesResult, ...]


def evaluate_attacks(
    dataset: Dataset,
    sensor: DepthSensor,
    pipeline: FacePipeline,
    *,
    frames: int = 18,
    seed: int = 0,
    with_picture: bool = True,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> AttackResult:
    """frames: of each person, spread over all of theirs. with_picture: whether the check sees the picture."""
    pipeline = replace(pipeline, quality_limits=dataset.quality_limits)
    found: dict[str, list[PresentationResult]] = {name: [] for name in (BONA_FIDE, *SPECIES)}
    for number, subject in enumerate(dataset.subjects):
        report("presenting", number, len(dataset.subjects))
        rng = np.random.default_rng([seed, number])
        items = [item for item in subject.items() if item.medium is Medium.DEPTH]
        chosen = np.linspace(0, len(items) - 1, min(frames, len(items))).astype(int)
        for frame in (subject.frame(items[at]) for at in chosen):
            for name, result in _presented(frame, sensor, pipeline, rng, with_picture=with_picture):
                found[name].append(result)
    bona_fide, *attacks = (_summed(name, results) for name, results in found.items())
    return AttackResult(
        dataset.name, sensor.name, len(dataset.subjects), with_picture, bona_fide, tuple(attacks)
    )


def _presented(
    frame: DepthFrame,
    sensor: DepthSensor,
    pipeline: FacePipeline,
    rng: np.random.Generator,
    *,
    with_picture: bool,
) -> Iterator[tuple[str, PresentationResult]]:
    landmarks = frame_landmarks(frame, pipeline)
    if landmarks is None:
        return
    place = _place(frame, landmarks)
    if place is None:
        return
    center, eyes = place
    yield BONA_FIDE, _judged(frame, landmarks, pipeline, with_picture=with_picture)
    for species in SPECIES.values():
        shown = simulate_print(species, frame, center, eyes, sensor, rng)
        yield species.name, _judged(shown, landmarks, pipeline, with_picture=with_picture)


def _judged(
    frame: DepthFrame, landmarks: FaceLandmarks, pipeline: FacePipeline, *, with_picture: bool
) -> PresentationResult:
    # The picture of an artefact is that of the frame it shows: so are its landmarks.
    if with_picture:
        return presentation([SeenFace(frame, clean_depth(frame.depth), landmarks)], pipeline)
    blind = replace(frame, image=None)
    try:
        start = frame_capture(blind, None, pipeline).start
    except ReconError:
        return PresentationResult(())
    expected = expected_landmarks(start, frame.camera, pipeline) if start is not None else None
    if expected is None:
        return presentation([], pipeline)
    return presentation([SeenFace(blind, clean_depth(blind.depth), expected)], pipeline)


def _place(frame: DepthFrame, landmarks: FaceLandmarks) -> tuple[Array, Array] | None:
    """Middle of the face (3,) mm, and the eyes (2, 2) pixels."""
    outline = landmarks.points[list(OUTLINE)]
    height, width = frame.depth.shape
    low = np.clip(outline.min(axis=0), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(outline.max(axis=0), 0, [width - 1, height - 1]).astype(int) + 1
    part = frame.depth[low[1] : high[1], low[0] : high[0]]
    if not (part > 0).any():
        return None
    middle = frame.camera.rays(outline.mean(axis=0)[None])[0]
    eyes = np.stack([landmarks.points[list(corners)].mean(axis=0) for corners in EYES])
    return middle * float(np.median(part[part > 0])), eyes


def _summed(name: str, results: Sequence[PresentationResult]) -> SpeciesResult:
    judged = [result for result in results if result.bona_fide is not None]
    errors = sum(result.attack == (name == BONA_FIDE) for result in judged)
    values: dict[str, list[float]] = {}
    for result in judged:
        for measure in result.measures:
            values.setdefault(measure.name, []).append(measure.value)
    return SpeciesResult(
        name,
        len(judged),
        errors,
        len(results) - len(judged),
        {measure: (float(np.min(v)), float(np.median(v)), float(np.max(v))) for measure, v in values.items()},
    )


def clopper_pearson(errors: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a share."""
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, errors, trials - errors + 1)) if errors else 0.0
    high = float(beta.ppf(1 - tail, errors + 1, trials - errors)) if errors < trials else 1.0
    return low, high

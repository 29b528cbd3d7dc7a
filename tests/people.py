"""A dataset of people who were never recorded: their items, and what was observed of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recon_service.comparison.calibration import Calibration, PairCalibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.comparisons import Comparisons, Observed
from recon_service.evaluation.dataset import Item, Medium

KIND = EvidenceKind("depth", "generic", 1)


def plain_calibration(modes: int = 6, *, noise: float = 0.25, slope: float = 1.0) -> Calibration:
    """Of people drawn from the prior, each seen with honest noise of that variance."""
    eye = np.eye(modes)
    gain = eye / (1 + noise)
    score = PairScore((np.zeros(modes), np.zeros(modes)), (gain, gain), noise * eye / (1 + noise) ** 2, eye)
    return Calibration("test", "test/1", {(KIND, KIND): PairCalibration(score, ScoreMap(slope, 0.0))})


@dataclass(frozen=True)
class Listed:
    """A person whose items have names only."""

    name: str
    listed: tuple[Item, ...]

    def items(self) -> Sequence[Item]:
        return self.listed

    def fingerprint(self, item: Item) -> str:
        return f"{self.name}/{item.medium}/{item.label}"

    def picture(self, item: Item) -> bytes:
        raise NotImplementedError

    def frame(self, item: Item) -> DepthFrame:
        raise NotImplementedError


def one_session(name: str, *, poses: int = 9, takes: int = 6) -> Listed:
    """Pictures and frames in every pose, all of one session."""
    return Listed(
        name,
        tuple(
            Item(medium, f"{pose}.{take}", "session", f"pose {pose}", str(pose))
            for medium in Medium
            for pose in range(poses)
            for take in range(takes)
        ),
    )


def enrolled_and_visiting(name: str, *, poses: Sequence[str], visits: int, frames: int) -> Listed:
    """Two pictures per pose, and visits to a depth camera."""
    pictures = [
        Item(Medium.IMAGE, f"{pose}_{take}", "enroll", f"enroll/{pose}_{take}", pose)
        for pose in poses
        for take in range(2)
    ]
    seen = [
        Item(Medium.DEPTH, f"{visit}/{frame}", f"v{visit}", f"probe/v{visit}")
        for visit in range(visits)
        for frame in range(frames)
    ]
    return Listed(name, (*pictures, *seen))


def observed(
    rng: np.random.Generator,
    people: int,
    each: int,
    *,
    modes: int = 6,
    sd: float = 0.5,
) -> Observed:
    """People drawn from the prior, each observed with honest noise of standard deviation ``sd``."""
    names, posteriors = [], []
    for number in range(people):
        identity = rng.standard_normal(modes)
        for _ in range(each):
            seen = identity + sd * rng.standard_normal(modes)
            information = np.eye(modes) / sd**2
            posteriors.append(IdentityPosterior.from_evidence("test/1", information, information @ seen))
            names.append(f"p{number}")
    return Observed.of(names, posteriors, [KIND] * len(names))


def all_pairs(side: Observed) -> Comparisons:
    """Each pair once."""
    first, second = np.triu_indices(len(side), 1)
    return Comparisons(first.astype(np.int64), second.astype(np.int64))

"""People whom nobody recorded: drawn from the very model that a calibration holds of enrollments and
visits, so that each of them errs as those it was learned from do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.pair_score import PairScore
from recon_service.comparison.strengthening import Offered
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Provenance, Template
from recon_service.evaluation.calibration import learned_map, min_cllr
from recon_service.evaluation.metrics import cllr

NOW = datetime(2026, 3, 4, tzinfo=UTC)
CAMERA = "depth/simulated-structured-light"
SELFIES = "selfies-photometric/visible"
FRAMES = 3


@dataclass
class ModelPeople:
    """camera, selfies: sources that the calibration knows together. kind: of a visit. depth, mixed: the
    models of visit against visit and of enrollment against visit.
    """

    calibration: Calibration
    seed: int = 0
    camera: str = CAMERA
    selfies: str = SELFIES
    rng: np.random.Generator = field(init=False)
    kind: EvidenceKind = field(init=False)
    depth: PairScore = field(init=False)
    mixed: PairScore = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.kind = EvidenceKind.of(self.camera, FRAMES)
        self.depth = self.calibration.of(self.kind, self.kind).pair.score
        self.mixed = self.calibration.of(EvidenceKind.of(self.selfies, 5), self.kind).pair.score

    def person(self) -> Array:
        """(K,) who somebody is."""
        return self._drawn(self.mixed.between)

    def mean(self, person: Array) -> Array:
        """(K,) what visits of the person are on average."""
        return np.asarray(self.depth.centers[0] + self.depth.gains[0] @ person)

    def visit(self, person: Array) -> IdentityPosterior:
        """What one visit gives."""
        return self.seen(self.mean(person) + self._drawn(self.depth.within))

    def seen(self, mean: Array) -> IdentityPosterior:
        """A visit whose posterior mean somebody chose."""
        return IdentityPosterior(self.calibration.space, mean, _covariance(self.depth.gains[0]))

    def template(self, person: Array) -> Template:
        """Five selfies of the person."""
        center, gain = self.mixed.centers[0], self.mixed.gains[0]
        mean = center + gain @ person + self._drawn(self.mixed.within)
        posterior = IdentityPosterior(self.calibration.space, mean, _covariance(gain))
        seen = (Provenance(self.selfies, "facemesh", NOW),) * 5
        return Template(
            "tpl", "ada", posterior, self.selfies, "m", self.calibration.identity, seen, 80.0, NOW
        )

    def offered(
        self,
        posterior: IdentityPosterior,
        *,
        llr: float = 3.9,
        frames: int = FRAMES,
        confirmed: bool = False,
        bona_fide: float | None = 0.99,
        camera: str = "",
    ) -> Offered:
        """The visit as it is offered to a template, without a fault unless told."""
        return Offered(
            posterior, camera or self.camera, frames, llr, bona_fide=bona_fide, confirmed=confirmed
        )

    def kept(
        self, posterior: IdentityPosterior, name: str, *, confirmed: bool = False, camera: str = ""
    ) -> DepthVisit:
        """The visit as a template keeps it."""
        return DepthVisit(
            visit_id=name,
            posterior=posterior,
            source=camera or self.camera,
            captures=FRAMES,
            calibration=self.calibration.identity,
            captured_at=NOW,
            policy="p",
            score=3.9,
            confirmed=confirmed,
            gain=1.0,
            kiosk="",
        )

    def _drawn(self, covariance: Array) -> Array:
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        return np.asarray(
            vectors @ (np.sqrt(np.maximum(values, 0.0)) * self.rng.standard_normal(len(values)))
        )


def learned_on_them(
    calibration: Calibration, *, camera: str = CAMERA, selfies: str = SELFIES, people: int = 30
) -> Calibration:
    """The calibration with maps of both pairs of kinds that were learned on people drawn from it: what it
    would be without the captures that went wrong where it was learned, which flatten a map for everybody.
    """
    drawn = ModelPeople(calibration, 1, camera, selfies)
    who = [drawn.person() for _ in range(people)]
    probes = np.stack([drawn.visit(one).mean for one in who])
    enrolled = np.stack([drawn.template(one).posterior.mean for one in who])
    visited = np.stack([drawn.visit(one).mean for one in who])
    first, second = (index.ravel() for index in np.indices((people, people)))
    pairs = dict(calibration.pairs)
    for kind, means in ((EvidenceKind.of(selfies, 5), enrolled), (drawn.kind, visited)):
        found = calibration.of(kind, drawn.kind)
        scores = found.pair.score.of_pairs(means, probes, first, second)
        genuine, impostor = scores[first == second], scores[first != second]
        score_map = learned_map(genuine, impostor, people=people)
        measured = found.pair.measured
        if measured is not None:
            ratios = score_map(genuine), score_map(impostor)
            measured = replace(measured, cllr=cllr(*ratios), min_cllr=min_cllr(genuine, impostor))
        pairs[found.key] = replace(found.pair, score_map=score_map, measured=measured)
    return replace(calibration, pairs=pairs)


def _covariance(gain: Array) -> Array:
    """Of the posteriors of a kind with this gain."""
    values, vectors = np.linalg.eigh(np.eye(len(gain)) - (gain + gain.T) / 2)
    covariance = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    return np.asarray((covariance + covariance.T) / 2)

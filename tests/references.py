"""Subjects with templates of chosen posteriors, in real stores, and a small calibration that can compare
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.ports.stores import Stores
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.operations import EnrollmentOutcome, Operation
from recon_service.application.records.references import SearchProbe
from recon_service.application.records.templates import TemplateOrigin
from recon_service.application.templates.sealing import seal_template
from recon_service.application.templates.subjects import load_template
from recon_service.comparison.calibration import Calibration, PairCalibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.arrays import Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Template
from tests.property.test_pair_score import random_score
from tests.unit.application.stores import GOOD, ListQueue, ScriptedCompute

SPACE = "space"
MODES = 5
SELFIES = EvidenceKind("selfies-photometric", "visible", 1)
LANDMARKS = EvidenceKind("facemesh468", "visible", 1)
DEPTH = EvidenceKind("depth", "kinect2", 1)


def small_calibration(seed: int = 0, name: str = "small") -> Calibration:
    """Two kinds of enrollment against depth, and selfies and depth against their own kind."""
    rng = np.random.default_rng(seed)
    pairs = {(SELFIES, DEPTH): 0.9, (LANDMARKS, DEPTH): 0.5, (SELFIES, SELFIES): 0.8, (DEPTH, DEPTH): 1.1}
    return Calibration(
        name,
        SPACE,
        {pair: PairCalibration(random_score(rng), ScoreMap(s, 0.1)) for pair, s in pairs.items()},
    )


def with_general_pairs(calibration: Calibration) -> Calibration:
    """The same, and careful pairs for cameras that nobody measured."""
    rng = np.random.default_rng(7)
    general = {
        (SELFIES.general, DEPTH.general): PairCalibration(random_score(rng), ScoreMap(0.3, 0.0)),
        (DEPTH.general, DEPTH.general): PairCalibration(random_score(rng), ScoreMap(0.4, 0.0)),
    }
    return replace(calibration, pairs={**calibration.pairs, **general})


def outcome(mean: Array, *, kind: EvidenceKind = SELFIES, space: str = SPACE) -> EnrollmentOutcome:
    posterior = IdentityPosterior(space, np.asarray(mean, dtype=np.float64), 0.1 * np.eye(len(mean)))
    return EnrollmentOutcome(
        (GOOD,), posterior, source=kind.source, backend="facemesh", model="model", calibration="small"
    )


def enroll(subject_id: str, mean: Array, stores: Stores, **options: object) -> Operation:
    """The whole way of an enrollment but for the pixels."""
    queue = ListQueue()
    asked = request_enrollment(EnrollmentRequest(subject_id, (b"x",), "c"), on=stores, queue=queue)
    ready = outcome(mean, **options)  # type: ignore[arg-type]
    ended = run_enrollment(
        asked.operation.operation_id,
        on=stores,
        compute=ScriptedCompute(lambda _: ready),
        queue=queue,
        policy=JobPolicy(),
    )
    assert ended is not None
    return ended


def probe(mean: Array, kind: EvidenceKind = DEPTH) -> SearchProbe:
    return SearchProbe(kind, IdentityPosterior(SPACE, np.asarray(mean), 0.1 * np.eye(len(mean))))


def by_comparing_with_all(
    one: SearchProbe, enrolled: Sequence[tuple[str, Array, EvidenceKind]], calibration: Calibration
) -> list[tuple[str, float]]:
    """Names and ratios, best first."""
    found = [
        (name, float(calibration.llr(kind, one.kind, mean[None], one.posterior.mean[None])[0][0]))
        for name, mean, kind in enrolled
    ]
    return sorted(found, key=lambda entry: -entry[1])


def strengthen(subject_id: str, mean: Array, stores: Stores, *, source: str = DEPTH.source) -> Template:
    """A version of the active template with the depth of a visit, in force."""
    now = stores.clock()
    before = load_template(subject_id, None, on=stores)
    posterior = IdentityPosterior(SPACE, np.asarray(mean), 0.1 * np.eye(len(mean)))
    visit = DepthVisit("visit", posterior, source, 1, "small", now, "p", 9.0, False, 0.0, "k")
    template = replace(before, template_id=new_id("tpl"), visits=(*before.visits, visit))
    return put_in_force(template, stores, TemplateOrigin.STRENGTHENING, parent_id=before.template_id)


def move(subject_id: str, mean: Array, stores: Stores, calibration: str) -> Template:
    """A version under another calibration, derived from the active template, in force."""
    before = load_template(subject_id, None, on=stores)
    posterior = replace(before.posterior, mean=np.asarray(mean, dtype=np.float64))
    template = replace(
        before,
        template_id=new_id("tpl"),
        posterior=posterior,
        model=f"model of {calibration}",
        calibration=calibration,
        visits=(),
    )
    return put_in_force(template, stores, TemplateOrigin.REENROLLMENT, parent_id=before.template_id)


def put_in_force(
    template: Template,
    stores: Stores,
    origin: TemplateOrigin,
    *,
    parent_id: str | None = None,
    activated: bool = True,
) -> Template:
    """A version of a subject that is enrolled; a candidate, unless it is activated."""
    with stores.database.transaction() as tx:
        key = tx.subjects.key(template.subject_id, lock=True)
        assert key is not None
        tx.templates.add(seal_template(template, key, on=stores, origin=origin, parent_id=parent_id))
        if activated:
            tx.templates.activate(template.subject_id, template.template_id, now=stores.clock())
    return template

"""Verifying simulated people: heads drawn from the model, a stereo camera's noise, no picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import Probe, observe, verify
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.comparison.policies import DEFAULT_POLICY, load_policies
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.template import Decision, Provenance, Template
from recon_service.simulation import KIOSK_CAMERA, Stereo, sample_head, simulate_capture
from recon_service.simulation.capture import visit_pose

PEOPLE = 5
POLICY = load_policies()[DEFAULT_POLICY]
NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN)


@pytest.fixture(scope="module")
def visits(pipeline: FacePipeline) -> list[list[DepthFrame]]:
    """Four frames of each person: two visits of two frames."""
    rng = np.random.default_rng(21)
    surfaces = [sample_head(pipeline.model, rng).surface() for _ in range(PEOPLE)]
    return [
        [simulate_capture(surface, KIOSK_CAMERA, visit_pose(rng), Stereo(), rng) for _ in range(4)]
        for surface in surfaces
    ]


@pytest.fixture(scope="module")
def probes(pipeline: FacePipeline, visits: list[list[DepthFrame]]) -> list[tuple[Probe, Probe]]:
    return [(observe(frames[:2], pipeline), observe(frames[2:], pipeline)) for frames in visits]


def template(probe: Probe, pipeline: FacePipeline) -> Template:
    assert probe.posterior is not None
    return Template(
        "t",
        "s",
        probe.posterior,
        f"depth/{probe.source}",
        pipeline.model.name,
        pipeline.calibration.identity,
        (Provenance(f"depth/{probe.source}", "", NOW),) * len(probe.fits),
        100.0,
        NOW,
    )


def test_every_frame_of_a_head_is_used(probes: list[tuple[Probe, Probe]]) -> None:
    for pair in probes:
        for probe in pair:
            assert probe.faults == ()
            assert len(probe.fits) == 2
            assert probe.source == "simulated-stereo"


def test_one_person_scores_above_two(pipeline: FacePipeline, probes: list[tuple[Probe, Probe]]) -> None:
    scores = np.array(
        [
            [
                compare(
                    a.posterior,
                    b.posterior,
                    reference_kind=EvidenceKind.depth(a.source, len(a.fits)),
                    probe_kind=EvidenceKind.depth(b.source, len(b.fits)),
                    calibration=pipeline.calibration,
                ).llr
                for _, b in probes
                if b.posterior is not None
            ]
            for a, _ in probes
            if a.posterior is not None
        ]
    )
    assert scores.shape == (PEOPLE, PEOPLE)
    same = np.eye(PEOPLE, dtype=bool)
    assert scores[same].min() > POLICY.match_above > scores[~same].max()
    assert (scores[same][:, None] > scores[~same][None]).mean() > 0.9


def test_the_frames_of_a_visit_add_up(pipeline: FacePipeline, visits: list[list[DepthFrame]]) -> None:
    one, two = (observe(visits[0][:n], pipeline).posterior for n in (1, 2))
    assert one is not None
    assert two is not None
    assert np.linalg.slogdet(two.covariance)[1] < np.linalg.slogdet(one.covariance)[1]


def test_the_score_of_a_verification_is_that_of_its_parts(
    pipeline: FacePipeline, visits: list[list[DepthFrame]], probes: list[tuple[Probe, Probe]]
) -> None:
    reference = template(probes[0][0], pipeline)
    result = verify(visits[0][2:], reference, pipeline, POLICY)
    assert result.decision is Decision.MATCH
    assert result.score is not None
    assert result.policy == POLICY.name
    probe = probes[0][1].posterior
    assert probe is not None
    again = compare(
        reference.posterior,
        probe,
        reference_kind=EvidenceKind.of(reference.source, 2),
        probe_kind=EvidenceKind.depth("simulated-stereo", 2),
        calibration=pipeline.calibration,
    )
    assert replace(result.score, missing=()) == again


def test_a_visit_without_a_usable_frame_is_inconclusive_with_reasons(
    pipeline: FacePipeline, visits: list[list[DepthFrame]], probes: list[tuple[Probe, Probe]]
) -> None:
    empty = replace(visits[0][0], depth=np.zeros_like(visits[0][0].depth))
    result = verify([empty, empty], template(probes[0][0], pipeline), pipeline, POLICY)
    assert (result.decision, result.score) == (Decision.INCONCLUSIVE, None)
    assert [code for code, _ in result.reasons] == ["too-little-depth"], "each reason once"


def test_an_empty_visit_is_no_fault(pipeline: FacePipeline) -> None:
    assert observe([], pipeline) == Probe(None, (), "generic")

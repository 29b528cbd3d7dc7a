"""Visits frame by frame: when they end, frames of somebody else, and the head that is followed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.streaming import (
    FRAMES_DISAGREE,
    ONE_FRAME_DISAGREES,
    StoppingRule,
    Visit,
)
from recon_service.application.computing.verify import observe, verify
from recon_service.assembly import APPEARANCE_OFF, ModelChoice, build_pipeline
from recon_service.comparison.policies import DEFAULT_POLICY, load_policies
from recon_service.depth.cleaning import clean_depth
from recon_service.depth.depth_only_start import pose_near
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.template import Decision, Provenance, Template
from recon_service.fitting.plausibility import turn_between
from recon_service.simulation import KIOSK_CAMERA, Stereo, sample_head, simulate_capture
from recon_service.simulation.capture import visit_pose

POLICY = load_policies()[DEFAULT_POLICY]
NOW = datetime(2026, 3, 4, tzinfo=UTC)
EAGER = StoppingRule(match_margin=0.0, no_match_margin=0.0, least_frames=2)


@given(st.floats(-20, 20), st.integers(1, 10), st.floats(0, 3), st.floats(0, 3), st.integers(1, 4))
def test_a_visit_ends_early_only_beyond_both_thresholds_and_margins(
    llr: float, frames: int, above: float, below: float, least: int
) -> None:
    policy = replace(POLICY, least_frames=3)
    if StoppingRule(above, below, least).clear(llr, frames, policy):
        assert frames >= least
        assert llr < policy.no_match_below - below or (
            llr >= policy.match_above + above and frames >= policy.least_frames
        )
    assert StoppingRule(above, below, least).clear(policy.match_above + above, max(least, 3), policy)


# ---- simulated people


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN, appearance=APPEARANCE_OFF)


@pytest.fixture(scope="module")
def people(pipeline: FacePipeline) -> list[list[DepthFrame]]:
    """Five frames of each of two people who are not alike, without pictures."""
    rng = np.random.default_rng(21)
    surfaces = [sample_head(pipeline.model, rng).surface() for _ in range(4)][2:]
    return [
        [simulate_capture(surface, KIOSK_CAMERA, visit_pose(rng), Stereo(), rng) for _ in range(5)]
        for surface in surfaces
    ]


@pytest.fixture(scope="module")
def reference(pipeline: FacePipeline, people: list[list[DepthFrame]]) -> Template:
    probe = observe(people[0][:2], pipeline)
    assert probe.posterior is not None
    source = f"depth/{probe.source}"
    return Template(
        "t",
        "s",
        probe.posterior,
        source,
        pipeline.model.name,
        pipeline.calibration.identity,
        (Provenance(source, "", NOW),) * 2,
        100.0,
        NOW,
    )


def test_a_clear_visit_ends_before_its_last_frame(
    pipeline: FacePipeline, people: list[list[DepthFrame]], reference: Template
) -> None:
    own, other = people[0][2:], people[1][:3]
    result = verify(own, reference, pipeline, POLICY, stopping=EAGER)
    assert (result.decision, result.frames_used) == (Decision.MATCH, 2)
    again = verify(own[:2], reference, pipeline, POLICY)
    assert result == again, "as if no more had been sent"
    result = verify(other, reference, pipeline, POLICY, stopping=EAGER)
    assert (result.decision, result.frames_used) == (Decision.NO_MATCH, 2)


def test_without_a_rule_and_without_clarity_all_frames_are_looked_at(
    pipeline: FacePipeline, people: list[list[DepthFrame]], reference: Template
) -> None:
    own = people[0][2:]
    assert verify(own, reference, pipeline, POLICY).frames_used == 3
    never = StoppingRule(match_margin=100.0, no_match_margin=100.0)
    assert verify(own, reference, pipeline, POLICY, stopping=never) == verify(
        own, reference, pipeline, POLICY
    )


@pytest.mark.parametrize("place", [0, 2])
def test_the_frame_of_a_bystander_is_left_out(
    pipeline: FacePipeline, people: list[list[DepthFrame]], place: int
) -> None:
    own = people[0][:3]
    probe = observe([*own[:place], people[1][0], *own[place:]], pipeline)
    alone = observe(own, pipeline)
    assert len(probe.fits) == 3
    assert probe.faults == (ONE_FRAME_DISAGREES,)
    assert probe.posterior is not None
    assert alone.posterior is not None
    sd = np.sqrt(np.diag(alone.posterior.covariance))
    assert np.median(np.abs(probe.posterior.mean - alone.posterior.mean) / sd) < 0.5


def test_of_two_frames_of_two_people_none_is_used(
    pipeline: FacePipeline, people: list[list[DepthFrame]], reference: Template
) -> None:
    result = verify([people[0][2], people[1][2]], reference, pipeline, POLICY)
    assert (result.decision, result.score, result.frames_used) == (Decision.INCONCLUSIVE, None, 0)
    assert FRAMES_DISAGREE in result.reasons


def test_the_head_is_followed_from_the_third_frame_on(
    pipeline: FacePipeline, people: list[list[DepthFrame]]
) -> None:
    visit = Visit(pipeline)
    for frame in people[0][:2]:
        visit.add(frame)
        alone = observe([frame], pipeline).posterior
        assert alone is not None
    visit.add(people[0][2])
    followed, anew = visit.probe().fits[2], observe([people[0][2]], pipeline).fits[0]
    assert turn_between(followed.captures[0].pose, anew.captures[0].pose) < 1.0
    sd = np.sqrt(np.diag(anew.posterior.covariance))
    assert np.abs((followed.posterior.mean - anew.posterior.mean) / sd).max() < 1.0


def test_where_the_head_is_gone_there_is_nothing_to_follow(
    pipeline: FacePipeline, people: list[list[DepthFrame]]
) -> None:
    frame = people[0][0]
    depth = clean_depth(frame.depth)
    pose = observe([frame], pipeline).fits[0].captures[0].pose
    found = pose_near(depth, frame.camera, pipeline.model, pose)
    assert found is not None
    assert turn_between(found, pose) < 10.0
    assert pose_near(np.zeros_like(depth), frame.camera, pipeline.model, pose) is None
    assert pose_near(np.where(depth > 0, 900.0, 0.0), frame.camera, pipeline.model, pose) is None

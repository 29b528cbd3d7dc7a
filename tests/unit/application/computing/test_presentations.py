"""Artefacts before the kiosk: the check ends the verification before anything is compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.presentations import expected_landmarks, presentation
from recon_service.application.computing.verify import observe, verify
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.comparison.policies import DEFAULT_POLICY, load_policies
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.pose import HeadPose
from recon_service.domain.template import Decision, Template
from recon_service.presentation_attack.face_points import EYES
from recon_service.simulation import KIOSK_CAMERA, StructuredLight, sample_head, simulate_capture
from recon_service.simulation.prints import SPECIES, simulate_print

POSE = HeadPose.from_angles(yaw=5.0, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 590.0]))
POLICY = load_policies()[DEFAULT_POLICY]
PICTURE = Image(np.full((480, 640, 3), 128, np.uint8))


class Placed:
    """Stands for detector and landmarker: the picture shows a face where the head is, or where the print has
    it; which picture that is does not matter to the depth.
    """

    name = "placed"

    def __init__(self, landmarks: FaceLandmarks) -> None:
        self._landmarks = landmarks

    def detect(self, image: Image) -> tuple[DetectedFace, ...]:
        (left, top), (right, bottom) = self._landmarks.points.min(axis=0), self._landmarks.points.max(axis=0)
        box = (float(left), float(top), float(right), float(bottom))
        return (DetectedFace(box=box, score=1.0, keypoints=np.zeros((6, 2))),)

    def landmarks(self, image: Image, face: DetectedFace) -> FaceLandmarks:
        return self._landmarks


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    plain = build_pipeline(ModelChoice.BUILTIN, appearance="off")
    landmarks = expected_landmarks(POSE, KIOSK_CAMERA, plain)
    assert landmarks is not None
    placed = Placed(landmarks)
    return replace(plain, detector=placed, landmarker=placed)


@pytest.fixture(scope="module")
def head(pipeline: FacePipeline) -> DepthFrame:
    rng = np.random.default_rng(3)
    surface = sample_head(pipeline.model, rng).surface()
    return replace(simulate_capture(surface, KIOSK_CAMERA, POSE, StructuredLight(), rng), image=PICTURE)


def template(head: DepthFrame, pipeline: FacePipeline) -> Template:
    probe = observe([head], pipeline)
    assert probe.posterior is not None
    return Template(
        "t",
        "s",
        probe.posterior,
        "depth/simulated-structured-light",
        pipeline.model.name,
        pipeline.calibration.identity,
        (),
        90.0,
        datetime.now(UTC),
    )


@pytest.mark.parametrize("name", ["flat-print", "print-bent-twice", "bent-print-without-eyes", "screen"])
def test_an_artefact_ends_in_a_decision_that_says_so(
    name: str, head: DepthFrame, pipeline: FacePipeline
) -> None:
    rng = np.random.default_rng(1)
    landmarks = pipeline.landmarker.landmarks(PICTURE, pipeline.detector.detect(PICTURE)[0])
    eyes = np.stack([landmarks.points[list(corners)].mean(axis=0) for corners in EYES])
    center = np.array([0.0, 0.0, 500.0])
    frame = simulate_print(SPECIES[name], head, center, eyes, StructuredLight(), rng)
    result = verify([frame], template(head, pipeline), pipeline, POLICY)
    assert result.decision is Decision.PRESENTATION_ATTACK
    assert result.score is None
    assert result.reasons
    assert all(code.startswith("presentation-") and hint for code, hint in result.reasons)
    unchecked = verify([frame], template(head, pipeline), replace(pipeline, presentation_limits=None), POLICY)
    assert unchecked.decision is not Decision.PRESENTATION_ATTACK


def test_a_head_is_compared_and_the_result_tells_what_was_measured(
    head: DepthFrame, pipeline: FacePipeline
) -> None:
    result = verify([head], template(head, pipeline), pipeline, POLICY)
    assert result.decision is not Decision.PRESENTATION_ATTACK
    assert result.score is not None
    assert dict(result.score.parts)["shape"] == pytest.approx(result.score.llr)
    assert result.presentation is not None
    assert result.presentation.bona_fide is not None
    assert result.presentation.bona_fide > 0.5


def test_a_frame_without_a_picture_is_judged_where_the_head_was_found(
    head: DepthFrame, pipeline: FacePipeline
) -> None:
    blind = observe([replace(head, image=None)], pipeline).presentation
    assert not blind.attack
    names = {measure.name for measure in blind.measures}
    assert "bent-sheet" in names
    assert "nose" not in names


def test_nothing_is_claimed_without_frames_or_limits(head: DepthFrame, pipeline: FacePipeline) -> None:
    assert presentation([], pipeline).bona_fide is None
    assert observe([head], replace(pipeline, presentation_limits=None)).presentation.bona_fide is None

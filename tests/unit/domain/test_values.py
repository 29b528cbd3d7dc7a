"""Evidence, faces, images and quality: values that are checked when made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.domain.evidence import Capture, DepthSurfaceEvidence, LandmarkEvidence
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import FULL_FRAME_DIAGONAL_MM, Image
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict

LANDMARKS = FaceLandmarks("facemesh468", np.zeros((468, 2)), 1.0)
CAMERA = PinholeCamera(width=8, height=6, fx=10.0, fy=10.0, cx=3.5, cy=2.5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"scheme": "facemesh468", "points": np.zeros((68, 2))},
        {"scheme": "somebody", "points": np.zeros((468, 2))},
        {"scheme": "facemesh468", "points": np.full((468, 2), np.nan)},
        {"scheme": "ibug68", "points": np.zeros((68, 2)), "depth": np.zeros(67)},
        {"scheme": "ibug68", "points": np.zeros((68, 2)), "presence": np.nan},
    ],
)
def test_what_are_no_landmarks_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        FaceLandmarks(**{"presence": 1.0, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"information": 0.0},
        {"information": np.nan},
        {"rows": (0, 468)},
        {"rows": (-1,)},
        {"independent_sd": 0.0},
    ],
)
def test_impossible_weights_and_rows_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        LandmarkEvidence(LANDMARKS, **arguments)


@pytest.mark.parametrize(
    ("sd", "points"), [(0.0, 800.0), (np.nan, 800.0), (1.0, 0.0), (-1.0, 800.0), (np.inf, 800.0)]
)
def test_impossible_depth_noise_is_refused(sd: float, points: float) -> None:
    with pytest.raises(InvalidValue):
        DepthSurfaceEvidence(np.zeros((6, 8)), sd, points)


def test_a_capture_needs_evidence_and_a_possible_focal_spread() -> None:
    with pytest.raises(InvalidValue, match="evidence"):
        Capture("x", CAMERA, ())
    with pytest.raises(InvalidValue, match="log_focal_sd"):
        Capture("x", CAMERA, (LandmarkEvidence(LANDMARKS),), log_focal_sd=-0.1)


@pytest.mark.parametrize(
    ("box", "score"), [((5, 5, 5, 9), 0.5), ((5, 9, 9, 5), 0.5), ((0, 0, 1, 1), 1.5), ((0, 0, 1, 1), np.nan)]
)
def test_what_is_no_face_box_is_refused(box: tuple[float, float, float, float], score: float) -> None:
    with pytest.raises(InvalidValue):
        DetectedFace(box, score, np.zeros((6, 2)))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidValue):
        Image(np.zeros(shape, np.uint8))


def test_the_35_mm_equivalent_keeps_the_diagonal_angle_of_view() -> None:
    camera = Image(np.zeros((600, 800, 3), np.uint8), focal_35mm=28.0).camera()
    corner = camera.rays(np.array([[-0.5, -0.5]]))[0]
    assert np.hypot(corner[0], corner[1]) == pytest.approx(FULL_FRAME_DIAGONAL_MM / 2 / 28.0)


def test_a_stated_focal_length_is_trusted_more() -> None:
    pixels = np.zeros((6, 8, 3), np.uint8)
    assert Image(pixels, focal_35mm=28.0).log_focal_sd < Image(pixels).log_focal_sd


def test_one_rejecting_measure_rejects_and_the_weakest_gives_the_score() -> None:
    measures = [
        QualityMeasure("a", 1.0, "px", 80.0, Verdict.GOOD),
        QualityMeasure("b", 1.0, "px", 40.0, Verdict.WARNING),
    ]
    assert QualityReport(tuple(measures)).accepted
    assert QualityReport(tuple(measures)).score == 40.0
    bad = [QualityMeasure(n, 0.0, "px", s, Verdict.REJECTED, "hint") for n, s in (("c", 9.0), ("d", 3.0))]
    report = QualityReport((*measures, *bad))
    assert not report.accepted
    assert [m.name for m in report.reasons] == ["d", "c"], "worst first"

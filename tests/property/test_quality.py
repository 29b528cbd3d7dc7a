"""A picture that is spoiled further never scores better in the measure of what spoils it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict
from recon_service.quality import assess
from recon_service.quality.cheeks import cheeks
from recon_service.quality.facemesh_points import INNER_LIPS
from tests.images import PORTRAITS, portrait, seen

few = settings(max_examples=20)
portraits = st.sampled_from(PORTRAITS)
Pair = tuple[float, float]


def pair(low: float, high: float) -> st.SearchStrategy[Pair]:
    """Less and more of something."""
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda p: (min(p), max(p)))


def scores(name: str, pixels: np.ndarray, landmarks: FaceLandmarks | None = None) -> dict[str, float]:
    """As if the landmarks were found where they are without the change."""
    _, faces, found = seen_once(name)
    report = assess(Image(np.ascontiguousarray(pixels)), faces, landmarks or found)
    return {m.name: m.score for m in report.measures}


_SEEN: dict[str, tuple] = {}


def seen_once(name: str) -> tuple:
    return _SEEN.setdefault(name, seen(portrait(name)))


def moved(name: str, turn: np.ndarray, *, scale: float = 1.0) -> FaceLandmarks:
    """The landmarks as those of a head that is turned further, about their middle."""
    _, _, landmarks = seen_once(name)
    points = np.column_stack([landmarks.points, landmarks.depth])
    middle = points.mean(axis=0)
    turned = scale * (points - middle) @ turn.T + middle
    return replace(landmarks, points=turned[:, :2], depth=turned[:, 2])


@few
@given(portraits, pair(0.3, 20.0))
def test_blur(name: str, sigma: Pair) -> None:
    less, more = (scores(name, cv2.GaussianBlur(portrait(name), (0, 0), s)) for s in sigma)
    assert more["sharpness"] <= less["sharpness"] + 1.0


@few
@given(portraits, pair(0.02, 1.0))
def test_darkness(name: str, gain: Pair) -> None:
    dark, bright = (scores(name, (portrait(name) * g).astype(np.uint8)) for g in gain)
    for measure in ("under_exposure", "luminance_variance", "dynamic_range"):
        assert dark[measure] <= bright[measure] + 1.0, measure
    darkest = scores(name, (portrait(name) * 0.02).astype(np.uint8))
    assert darkest["exposure"] <= dark["exposure"] + 1e-6


@few
@given(portraits, pair(1.0, 6.0))
def test_burnt_out(name: str, gain: Pair) -> None:
    less, more = (scores(name, np.clip(portrait(name) * g, 0, 255).astype(np.uint8)) for g in gain)
    for measure in ("over_exposure", "eyes_glare"):
        assert more[measure] <= less[measure] + 1e-6, measure


@few
@given(portraits, pair(0.05, 1.0))
def test_light_from_one_side(name: str, gain: Pair) -> None:
    """The darker half of the face gets darker still."""
    _, faces, landmarks = seen_once(name)
    right, left = (side.mean() for side in cheeks(Image(portrait(name)), landmarks))
    middle = round((faces[0].box[0] + faces[0].box[2]) / 2)
    half = np.s_[:, :middle] if right < left else np.s_[:, middle:]
    found = []
    for g in gain:
        pixels = portrait(name).astype(np.float64)
        pixels[half] *= g
        found.append(scores(name, pixels.astype(np.uint8))["illumination_uniformity"])
    assert found[0] <= found[1] + 0.1


@few
@given(portraits, pair(0.0, 1.0), st.sampled_from([(0, 255, 0), (0, 0, 255), (255, 0, 255)]))
def test_colored_light(name: str, share: Pair, color: tuple[int, int, int]) -> None:
    less, more = (
        scores(name, ((1 - s) * portrait(name) + s * np.array(color)).astype(np.uint8))["natural_color"]
        for s in share
    )
    assert more <= less + 1.0


@few
@given(portraits, pair(0.0, 60.0), st.sampled_from([-1, 1]), st.sampled_from(["yaw", "pitch", "roll"]))
def test_turning_away(name: str, degrees: Pair, side: int, angle: str) -> None:
    axis = {"yaw": (0, 1, 0), "pitch": (1, 0, 0), "roll": (0, 0, 1)}[angle]
    frontal = next(m for m in assess(*seen_once(name)).measures if m.name == angle).raw
    found = []
    for d in degrees:
        for way in (side, -side):
            turn, _ = cv2.Rodrigues(np.radians(way * d) * np.array(axis, dtype=float))
            report = assess(Image(portrait(name)), seen_once(name)[1], moved(name, turn))
            one = next(m for m in report.measures if m.name == angle)
            if abs(one.raw) >= abs(frontal):  # beyond where the portrait itself looks
                found.append((abs(one.raw), one.score))
    found.sort()
    assert all(a[1] >= b[1] - 1e-6 for a, b in pairwise(found))


@few
@given(portraits, st.floats(-40, 40), st.floats(-30, 30), st.floats(0.5, 2.0))
def test_eyes_and_mouth_are_measured_on_the_head_and_not_in_the_picture(
    name: str, yaw: float, pitch: float, scale: float
) -> None:
    turn = cv2.Rodrigues(np.radians([0.0, yaw, 0.0]))[0] @ cv2.Rodrigues(np.radians([pitch, 0.0, 0.0]))[0]
    before, after = scores(name, portrait(name)), scores(name, portrait(name), moved(name, turn, scale=scale))
    for measure in ("eyes_open", "mouth_closed", "expression_neutrality"):
        assert after[measure] == pytest.approx(before[measure], abs=1e-3)


@few
@given(portraits, pair(0.0, 60.0))
def test_an_open_mouth(name: str, pixels: Pair) -> None:
    _, _, landmarks = seen_once(name)
    found = []
    for drop in pixels:
        points = landmarks.points.copy()
        points[list(INNER_LIPS[1])] += [0.0, drop]
        found.append(scores(name, portrait(name), replace(landmarks, points=points)))
    for measure in ("mouth_closed", "expression_neutrality"):
        assert found[1][measure] <= found[0][measure] + 1e-6


@few
@given(portraits, pair(0.0, 250.0))
def test_a_face_at_the_border(name: str, shift: Pair) -> None:
    _, _, landmarks = seen_once(name)
    less, more = (
        scores(name, portrait(name), replace(landmarks, points=landmarks.points - [s, s])) for s in shift
    )
    for measure in ("leftward_crop", "margin_above"):
        assert more[measure] <= less[measure] + 1e-6
    for measure in ("rightward_crop", "margin_below"):
        assert more[measure] >= less[measure] - 1e-6


@given(st.lists(st.tuples(st.floats(30, 100), st.booleans()), min_size=1, max_size=20), st.floats(0, 70))
def test_no_measure_that_gets_worse_raises_the_unified_score(
    given_scores: list[tuple[float, bool]], loss: float
) -> None:
    def report(values: list[tuple[float, bool]]) -> QualityReport:
        return QualityReport(
            tuple(QualityMeasure("m", 0.0, "", s, Verdict.GOOD, advice=advice) for s, advice in values)
        )

    worse = [(max(given_scores[0][0] - loss, 30.0), given_scores[0][1]), *given_scores[1:]]
    assert report(worse).unified <= report(given_scores).unified + 1e-9
    assert 0 <= report(worse).unified <= 100

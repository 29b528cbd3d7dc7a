"""Enrolling the two portraits with the real detector, landmark network and solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon_service.application.computing.enroll import (
    EnrollmentResult,
    Stage,
    enroll,
    examine,
    selfie_capture,
)
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.domain.errors import ImageRejected, InvalidValue
from tests.images import blurred, encoded, portrait, portrait_bytes

GARBAGE = b"this is not an image"


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN)


@pytest.fixture(scope="module")
def both(pipeline: FacePipeline) -> EnrollmentResult:
    return enroll([portrait_bytes("astronaut"), portrait_bytes("grace_hopper")], pipeline)


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_a_portrait_is_accepted_and_gives_a_plausible_face(pipeline: FacePipeline, name: str) -> None:
    result = enroll([portrait_bytes(name)], pipeline)
    assert len(result.used) == 1
    assert result.doubts == ()
    assert result.fit is not None
    posterior = result.fit.posterior
    assert posterior.space == pipeline.model.space
    assert np.mean(posterior.mean**2) < 4.0
    assert np.trace(posterior.covariance) < 60.0, "it knows more than the prior"
    (capture,) = result.fit.captures
    assert np.abs(capture.pose.angles()).max() < 45.0
    assert 200.0 < capture.pose.translation[2] < 5000.0


def test_the_fitted_landmarks_lie_on_the_picture(pipeline: FacePipeline) -> None:
    result = enroll([portrait_bytes("astronaut")], pipeline)
    assert result.fit is not None
    (selfie,), (capture,) = result.used, result.fit.captures
    assert selfie.landmarks is not None
    assert selfie.face is not None
    shown = pipeline.landmark_model.points.positions(result.fit.posterior.mean, capture.expression)
    pixels = capture.camera.project(capture.pose.apply(shown))
    distance = np.linalg.norm(pixels - selfie.landmarks.points, axis=1)[pipeline.landmark_model.usable]
    assert np.median(distance) < 0.03 * selfie.face.width


def test_a_file_that_is_no_image_does_not_stop_the_others(
    pipeline: FacePipeline, both: EnrollmentResult
) -> None:
    contents = [portrait_bytes("astronaut"), GARBAGE, portrait_bytes("grace_hopper")]
    result = enroll(contents, pipeline)
    assert [s.accepted for s in result.selfies] == [True, False, True]
    assert isinstance(result.selfies[1].problem, ImageRejected)
    assert result.selfies[1].problem.code == "image-unknown-format"
    assert (result.fit is None) == (both.fit is None)
    if result.fit is not None and both.fit is not None:
        np.testing.assert_allclose(result.fit.posterior.mean, both.fit.posterior.mean, atol=1e-9)


def test_the_order_of_the_selfies_does_not_matter(pipeline: FacePipeline, both: EnrollmentResult) -> None:
    other = enroll([portrait_bytes("grace_hopper"), portrait_bytes("astronaut")], pipeline)
    assert [s.accepted for s in other.selfies] == [s.accepted for s in both.selfies][::-1]
    assert (other.fit is None) == (both.fit is None)
    if other.fit is not None and both.fit is not None:
        np.testing.assert_allclose(other.fit.posterior.mean, both.fit.posterior.mean, atol=1e-3)
        np.testing.assert_allclose(other.fit.posterior.covariance, both.fit.posterior.covariance, atol=1e-3)


@pytest.mark.parametrize(
    "contents",
    [[GARBAGE], [encoded(np.full((400, 400, 3), 128, np.uint8), "PNG")]],
    ids=["no image", "no face"],
)
def test_without_an_accepted_selfie_there_is_no_fit_and_no_exception(
    pipeline: FacePipeline, contents: list[bytes]
) -> None:
    result = enroll(contents, pipeline)
    assert result.fit is None
    assert result.used == ()
    (selfie,) = result.selfies
    assert selfie.problem is not None or (selfie.quality is not None and selfie.quality.reasons)


def test_progress_never_goes_back(pipeline: FacePipeline) -> None:
    seen: list[tuple[Stage, float]] = []
    enroll(
        [portrait_bytes("astronaut"), GARBAGE, portrait_bytes("astronaut")],
        pipeline,
        progress=lambda stage, share: seen.append((stage, share)),
    )
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < shares[-1] <= 1.0
    order = list(Stage)
    assert [order.index(stage) for stage, _ in seen] == sorted(order.index(stage) for stage, _ in seen)


def test_only_an_accepted_selfie_gives_evidence(pipeline: FacePipeline) -> None:
    with pytest.raises(InvalidValue):
        selfie_capture(examine(GARBAGE, pipeline))
    capture = selfie_capture(examine(portrait_bytes("astronaut"), pipeline))
    assert capture.source == "facemesh468"
    assert capture.log_focal_sd == 0.25, "the file states no focal length"


def test_the_same_file_again_is_no_other_picture(pipeline: FacePipeline) -> None:
    content = portrait_bytes("astronaut")
    result, alone = enroll([content] * 3, pipeline), enroll([content], pipeline)
    assert [s.used for s in result.selfies] == [True, False, False]
    assert result.source == alone.source
    assert result.fit is not None
    assert alone.fit is not None
    assert np.array_equal(result.fit.posterior.mean, alone.fit.posterior.mean)


def test_of_more_pictures_than_are_needed_the_best_is_used_and_the_others_are_named(
    pipeline: FacePipeline,
) -> None:
    sharp = portrait("astronaut")
    contents = [encoded(blurred(sharp, sigma), "PNG") for sigma in (1.2, 0.1, 0.8)]
    result = enroll(contents, replace(pipeline, most_selfies=1))
    assert [s.accepted for s in result.selfies] == [True, True, True]
    assert [s.used for s in result.selfies] == [False, True, False]
    assert result.fit is not None
    assert len(result.fit.captures) == 1
    alone = enroll([contents[1]], pipeline)
    assert alone.fit is not None
    assert np.allclose(result.fit.posterior.mean, alone.fit.posterior.mean)

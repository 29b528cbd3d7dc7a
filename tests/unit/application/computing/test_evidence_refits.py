"""Evidence that was kept gives the posterior of the pictures again; on both models; and nothing else is
read.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.application.computing.enroll import EnrollmentResult, enroll
from recon_service.application.computing.evidence_refits import refitted
from recon_service.application.computing.kept_evidence import KeptCaptures, from_bytes, to_bytes
from recon_service.application.computing.photometric import PHOTOMETRIC
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.demo.simulated import simulated_person, texture_of
from recon_service.domain.errors import ModelMismatch, StorageFault
from recon_service.domain.posterior import IdentityPosterior
from tests.integration.running import portrait_jpeg

LEADING = slice(0, 15)


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN, appearance="off")


@pytest.fixture(scope="module")
def matched(pipeline: FacePipeline) -> EnrollmentResult:
    """Three pictures of one head that turns, whose skin was matched."""
    texture = texture_of(portrait_jpeg("astronaut"), pipeline)
    person = simulated_person("somebody", texture, pipeline, np.random.default_rng(1))
    result = enroll(person.selfies, pipeline)
    assert result.kept is not None
    assert result.kept.matches
    return result


@pytest.fixture(scope="module")
def single(pipeline: FacePipeline) -> EnrollmentResult:
    return enroll([portrait_jpeg("grace_hopper")], pipeline)


@pytest.fixture(scope="module")
def content_of_one(single: EnrollmentResult) -> bytes:
    assert isinstance(single.kept, KeptCaptures)
    return to_bytes(single.kept)


def apart(one: IdentityPosterior, other: IdentityPosterior) -> float:
    """Root mean square difference of the means in the leading modes, in standard deviations of people."""
    return float(np.sqrt(np.mean((one.mean - other.mean)[LEADING] ** 2)))


@pytest.mark.parametrize("name", ["matched", "single"])
def test_the_refit_is_the_fit(pipeline: FacePipeline, name: str, request: pytest.FixtureRequest) -> None:
    result: EnrollmentResult = request.getfixturevalue(name)
    assert result.kept is not None
    assert result.fit is not None
    outcome = refitted(to_bytes(result.kept), pipeline)
    assert outcome.posterior is not None
    assert outcome.source == result.source
    assert apart(outcome.posterior, result.fit.posterior) < 0.1
    widths = [np.sqrt(np.diag(p.covariance)) for p in (outcome.posterior, result.fit.posterior)]
    np.testing.assert_allclose(widths[0], widths[1], rtol=0.15)


def test_evidence_outlives_its_model(matched: EnrollmentResult, pipeline: FacePipeline) -> None:
    """Kept under one file of the canonical model, fitted under the other: rays find the new mesh's
    triangles.
    """
    assert matched.kept is not None
    assert matched.fit is not None
    renamed = replace(matched.kept, model="another mesh of the same space")
    outcome = refitted(to_bytes(renamed), pipeline)
    assert outcome.posterior is not None
    assert outcome.source.startswith(PHOTOMETRIC)
    assert outcome.model == pipeline.model.name
    assert apart(outcome.posterior, matched.fit.posterior) < 0.2


def test_the_dense_model_fits_what_the_builtin_one_saw(
    matched: EnrollmentResult, weights_mirror: object
) -> None:
    dense = build_pipeline(ModelChoice.DENSE, appearance="off")
    assert matched.kept is not None
    assert matched.fit is not None
    outcome = refitted(to_bytes(matched.kept), dense)
    assert outcome.posterior is not None
    assert outcome.model == dense.model.name
    assert apart(outcome.posterior, matched.fit.posterior) < 0.5


@pytest.mark.parametrize("change", ["space", "backend", "scheme"])
def test_what_the_models_in_force_cannot_use_is_said(
    pipeline: FacePipeline, single: EnrollmentResult, change: str
) -> None:
    assert single.kept is not None
    content = to_bytes(replace(single.kept, space="other/60") if change == "space" else single.kept)
    other = pipeline
    if change == "scheme":
        other = replace(pipeline, landmark_model=replace(pipeline.landmark_model, scheme="ibug68"))
    with pytest.raises(ModelMismatch) as caught:
        refitted(content, other, backend="deca" if change == "backend" else "facemesh")
    assert caught.value.next_step


def test_evidence_comes_back_as_it_was(matched: EnrollmentResult) -> None:
    kept = matched.kept
    assert kept is not None
    again = from_bytes(to_bytes(kept))
    assert (again.model, again.source, again.resolved) == (kept.model, kept.source, kept.resolved)
    for one, other in zip(again.matches, kept.matches, strict=True):
        np.testing.assert_array_equal(one.triangles, other.triangles)
        np.testing.assert_allclose(one.first_pixels, other.first_pixels, atol=1e-4)
    for one_fit, other_fit in zip(again.fit.captures, kept.fit.captures, strict=True):
        np.testing.assert_allclose(one_fit.pose.rotation, other_fit.pose.rotation, atol=1e-12)
        assert one_fit.camera.fx == pytest.approx(other_fit.camera.fx)
    assert len(to_bytes(kept)) < 200_000


@given(data=st.data())
@settings(max_examples=60)
def test_damaged_evidence_is_a_typed_fault(content_of_one: bytes, data: st.DataObject) -> None:
    content = bytearray(content_of_one)
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([len(content), where]))
    with contextlib.suppress(StorageFault):
        from_bytes(bytes(content[:cut]))

"""Templates under another model: between two files of one space nothing moves, between two spaces the
posterior goes through the common surface, and what was not measured is not carried.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.model_carrying import carried_over
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.assembly import BUILTIN, MODEL_NAMES, ModelChoice, build_pipeline, load_model
from recon_service.canonical_model import load_builtin
from recon_service.canonical_model.builtin import dense_points
from recon_service.comparison.calibration_file import BUILTIN as BUILTIN_CALIBRATION
from recon_service.comparison.calibration_file import RELEASED, load_calibration
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.model_map import PosteriorMap
from recon_service.domain.morphable_model import LinearPoints
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import DepthVisit, Provenance, Template
from recon_service.weights import bundled_directory

MOMENT = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return build_pipeline(ModelChoice.BUILTIN, appearance="off")


def posterior_in(space: str, modes: int, *, seed: int = 3) -> IdentityPosterior:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(modes, modes))
    information = root @ root.T / 4
    return IdentityPosterior.from_evidence(space, information, information @ rng.normal(size=modes))


def template(posterior: IdentityPosterior, *, model: str, calibration: str) -> Template:
    source = "selfies-photometric/visible"
    visit = DepthVisit(
        visit_id="vis",
        posterior=posterior,
        source="depth/kinect2",
        captures=3,
        calibration=calibration,
        captured_at=MOMENT,
        policy="p",
        score=4.0,
        confirmed=False,
        gain=1.0,
        kiosk="k",
    )
    return Template(
        template_id="tpl",
        subject_id="ada",
        posterior=posterior,
        source=source,
        model=model,
        calibration=calibration,
        provenance=(Provenance(source, "facemesh468", MOMENT),) * 5,
        quality=80.0,
        created_at=MOMENT,
        visits=(visit,),
    )


def test_between_two_files_of_one_space_only_names_change(pipeline: FacePipeline) -> None:
    """And the calibration in force then compares what it refused before."""
    made_under = load_calibration(RELEASED).identity
    before = template(
        posterior_in(pipeline.model.space, 60), model=MODEL_NAMES[ModelChoice.DENSE], calibration=made_under
    )
    with pytest.raises(ModelMismatch, match="released-1@"):
        pipeline.calibration.require(before.posterior.space, 60, before.calibration)
    after = carried_over(before, pipeline)
    assert isinstance(after, Template)
    pipeline.calibration.require(after.posterior.space, 60, after.calibration)
    assert after == replace(
        before,
        model=MODEL_NAMES[ModelChoice.BUILTIN],
        calibration=load_calibration(BUILTIN_CALIBRATION).identity,
    )
    assert after.posterior is before.posterior


@pytest.mark.parametrize("made_under", ["mine-1@0123456789ab", "released-0"])
def test_what_was_not_measured_is_not_carried(pipeline: FacePipeline, made_under: str) -> None:
    before = template(posterior_in(pipeline.model.space, 60), model="another", calibration=made_under)
    assert carried_over(before, pipeline) == "model-mismatch"


def fewer(points: LinearPoints, modes: int) -> LinearPoints:
    return replace(points, identity=points.identity[:, :, :modes])


def test_another_space_needs_a_map(pipeline: FacePipeline) -> None:
    """A model with other axes in another frame: the face that comes out is the one that went in, and no visit
    comes along. With fewer modes it is less sure.
    """
    here = pipeline.model
    rng = np.random.default_rng(5)
    axes = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    old = LinearPoints(
        here.vertices.mean @ turned.T + 40.0,
        np.einsum("ij,njk,kl->nil", turned, here.vertices.identity, axes),
        here.vertices.expression,
        here.vertices.normals,
    )
    before = template(
        posterior_in("turned/60", 60), model="turned", calibration=pipeline.calibration.identity
    )
    assert carried_over(before, pipeline) == "model-mismatch"
    way = PosteriorMap.between("turned/60", old, here.space, here.vertices)
    after = carried_over(before, replace(pipeline, posterior_maps=(way,)))
    assert isinstance(after, Template)
    assert (after.posterior.space, after.model, after.visits) == (here.space, here.name, ())
    assert after.provenance == before.provenance
    # Both have the same faces, so that nothing is lost.
    np.testing.assert_allclose(axes.T @ after.posterior.mean, before.posterior.mean, atol=1e-6)
    np.testing.assert_allclose(
        axes.T @ after.posterior.covariance @ axes, before.posterior.covariance, atol=1e-6
    )
    few = PosteriorMap.between("turned/40", fewer(old, 40), here.space, here.vertices)
    poor = carried_over(
        template(posterior_in("turned/40", 40), model="turned", calibration=pipeline.calibration.identity),
        replace(pipeline, posterior_maps=(few,)),
    )
    assert isinstance(poor, Template)
    assert np.trace(poor.posterior.covariance) > 20.0, "of what it could not see the old model says nothing"
    wrong = replace(pipeline, posterior_maps=(replace(way, linear=way.linear[:30], offset=way.offset[:30]),))
    assert carried_over(before, wrong) == "model-mismatch"


def test_the_map_between_the_two_files_is_the_identity(weights_mirror: Path) -> None:
    """Through the 468 points of the surface that both files have: what docs/adr/0030 says, measured."""
    dense = load_model(ModelChoice.DENSE)
    builtin = load_builtin(bundled_directory() / BUILTIN)
    shared = dense_points(bundled_directory() / BUILTIN, dense)
    way = PosteriorMap.between(dense.space, shared, builtin.space, builtin.vertices)
    np.testing.assert_allclose(way.linear, np.eye(60), atol=2e-3)
    np.testing.assert_allclose(way.offset, 0.0, atol=2e-3)
    assert np.abs(way.cost).max() < 1e-6

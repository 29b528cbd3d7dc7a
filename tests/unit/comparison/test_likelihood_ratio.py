from __future__ import annotations

import numpy as np
import pytest

from recon_service.comparison.calibration import Calibration, PairCalibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.likelihood_ratio import compare
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.posterior import IdentityPosterior
from tests.observations import random_posterior
from tests.people import KIND, plain_calibration

PICTURES = EvidenceKind("facemesh468", "visible", 1)


def score(one: IdentityPosterior, other: IdentityPosterior, **options: str | None) -> float:
    return compare(
        one,
        other,
        reference_kind=KIND,
        probe_kind=KIND,
        calibration=plain_calibration(),
        template_calibration=options.get("made"),
    ).llr


def test_two_spaces_are_not_compared() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(ModelMismatch, match=r"test/1.*other"):
        score(random_posterior(rng), random_posterior(rng, space="other"))


def test_a_calibration_of_another_space_is_refused() -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(ModelMismatch, match="recon calibrate"):
        score(random_posterior(rng, space="other"), random_posterior(rng, space="other"))


def test_a_template_of_another_calibration_is_refused_unless_it_is_accepted() -> None:
    rng = np.random.default_rng(6)
    one, other = random_posterior(rng), random_posterior(rng)
    assert score(one, other, made="test@0123456789ab") == score(one, other)
    with pytest.raises(ModelMismatch, match="older-3"):
        score(one, other, made="older-3@0123456789ab")
    pairs = plain_calibration().pairs
    accepting = Calibration("test", "test/1", pairs, accepts=("older-3",))
    assert compare(
        one,
        other,
        reference_kind=KIND,
        probe_kind=KIND,
        calibration=accepting,
        template_calibration="older-3@0123456789ab",
    ).llr == score(one, other)


def test_the_score_names_its_sources_and_the_calibration() -> None:
    rng = np.random.default_rng(6)
    pair = plain_calibration().pairs[KIND, KIND]
    calibration = Calibration("c", "test/1", {(PICTURES, KIND): pair}, digest="0123456789abcdef")
    result = compare(
        random_posterior(rng),
        random_posterior(rng),
        reference_kind=PICTURES,
        probe_kind=KIND,
        calibration=calibration,
    )
    assert (result.reference_source, result.probe_source) == ("facemesh468/visible", "generic")
    assert result.calibration == "c@0123456789ab"


def test_one_person_scores_above_two_and_the_ratio_is_calibrated() -> None:
    """With the noise that is assumed E[1/LR | same] = 1 = E[LR | different], up to the normalized length."""
    rng = np.random.default_rng(0)
    modes, noise = 3, 1.44
    truth = rng.standard_normal((4000, modes))
    means = [(truth + np.sqrt(noise) * rng.standard_normal(truth.shape)) / (1 + noise) for _ in range(2)]
    pair: PairCalibration = plain_calibration(modes, noise=noise).pairs[KIND, KIND]
    same = pair.score(means[0], means[1])
    other = pair.score(means[0], np.roll(means[1], 1, axis=0))
    assert same.mean() > 0 > other.mean()
    assert np.exp(-same).mean() == pytest.approx(1.0, abs=0.2)
    assert np.exp(other).mean() == pytest.approx(1.0, abs=0.2)

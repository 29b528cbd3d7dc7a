"""Matches of several people in one call, and what is fitted to them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'torch' is not installed")

from recon_service.application.computing.photometric import LandmarkFit, refined
from recon_service.application.computing.photometric_of_many import refined_together
from recon_service.assembly import MatchingDevice, load_matching
from recon_service.fitting import fit_identity
from recon_service.matching import PictureSet, SurfaceMatcher
from recon_service.matching.batched import BatchedSurfaceMatcher, BatchSizes, TorchDevice
from tests.observations import builtin_model, landmark_model
from tests.speckled import average_captures, pixels_of, speckled_pictures, true_fit

MODEL = builtin_model()
SEEDS = (8, 9)


@pytest.fixture(scope="module")
def batched() -> BatchedSurfaceMatcher:
    return BatchedSurfaceMatcher(MODEL, device=TorchDevice.CPU)


@pytest.fixture(scope="module")
def people() -> list[LandmarkFit]:
    fits = []
    for seed in SEEDS:
        captures = average_captures(seed)
        first = fit_identity(MODEL, captures, landmark_model=landmark_model())
        fits.append(LandmarkFit(first, captures, speckled_pictures(seed)))
    return fits


def test_matches_do_not_depend_on_who_shares_the_call(batched: BatchedSurfaceMatcher) -> None:
    pairs = ([(0, 1), (0, 2)], [(1, 0)])
    sets = [
        PictureSet(batched.views(speckled_pictures(seed), true_fit(seed)), true_fit(seed), wanted)
        for seed, wanted in zip(SEEDS, pairs, strict=True)
    ]
    small = BatchedSurfaceMatcher(MODEL, device=TorchDevice.CPU, sizes=BatchSizes(1, 500))
    for other in (batched.matches_of(sets, round_=0), small.matches_of(sets, round_=0)):
        for one, found in zip(sets, other, strict=True):
            alone = batched.matches(one.views, one.fit, one.pairs, round_=0)
            assert [(m.first, m.second) for m in found] == list(one.pairs)
            for a, b in zip(pixels_of(alone), pixels_of(found), strict=True):
                # Sums in another order: at most a match or two at a limit may change.
                same = {tuple(row) for row in np.round(a[:, :2], 1)} & {
                    tuple(row) for row in np.round(b[:, :2], 1)
                }
                assert len(same) > 0.97 * len(a)


def test_people_fitted_together_get_what_the_processor_gives_them_alone(
    batched: BatchedSurfaceMatcher, people: list[LandmarkFit]
) -> None:
    """Within the posterior's own standard deviation, in each mode and much less on the whole."""
    kept = {"model": MODEL, "landmark_model": landmark_model()}
    together = refined_together(people, matcher=batched, threads=2, **kept)
    single = SurfaceMatcher(MODEL)
    for one, found in zip(people, together, strict=True):
        wanted = refined(one, matcher=single, **kept)
        assert found is not None
        assert wanted is not None
        off = found.posterior.mean - wanted.posterior.mean
        off /= np.sqrt(np.diag(wanted.posterior.covariance))
        assert np.sqrt(np.mean(off**2)) < 0.6
        np.testing.assert_allclose(
            np.diag(found.posterior.covariance), np.diag(wanted.posterior.covariance), rtol=0.5
        )


def test_who_has_one_picture_drops_out_and_the_others_go_on(
    batched: BatchedSurfaceMatcher, people: list[LandmarkFit]
) -> None:
    one = people[0]
    lonely = LandmarkFit(one.fit, one.captures[:1], one.images[:1])
    found = refined_together(
        [lonely, people[1]], matcher=batched, model=MODEL, landmark_model=landmark_model()
    )
    assert [fit is None for fit in found] == [True, False]
    assert refined_together([], matcher=batched, model=MODEL, landmark_model=landmark_model()) == []


def test_nothing_loads_torch_until_a_graphics_processor_is_asked_for() -> None:
    code = (
        "import sys\n"
        "from recon_service.assembly import ModelChoice, build_pipeline\n"
        "import recon_service.application.computing.photometric_of_many\n"
        "build_pipeline(ModelChoice.BUILTIN, appearance='off')\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_a_graphics_processor_the_processor_matches_by_opencv() -> None:
    assert isinstance(load_matching(MODEL), SurfaceMatcher)
    torch = pytest.importorskip("torch")
    expected = BatchedSurfaceMatcher if torch.cuda.is_available() else SurfaceMatcher
    assert isinstance(load_matching(MODEL, MatchingDevice.AUTO), expected)

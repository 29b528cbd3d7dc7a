"""What everything that matches skin between pictures must do, by OpenCV one set at a time and by torch in
batches.
"""

from __future__ import annotations

import numpy as np
import pytest

from recon_service.application.computing.photometric import LandmarkFit, refined
from recon_service.domain.images import Image
from recon_service.fitting import fit_identity
from recon_service.matching import MatchOptions, SkinMatching, SurfaceMatcher
from tests.observations import builtin_model, landmark_model
from tests.speckled import (
    alike,
    average_captures,
    matched_points,
    noise_picture,
    pixels_of,
    speckled_pictures,
    true_fit,
)

KINDS = ("opencv", "torch")
MODEL = builtin_model()


def made(kind: str, options: MatchOptions | None = None) -> SkinMatching:
    if kind == "opencv":
        return SurfaceMatcher(MODEL, options)
    pytest.importorskip("torch", reason="the extra 'torch' is not installed")
    from recon_service.matching.batched import BatchedSurfaceMatcher

    return BatchedSurfaceMatcher(MODEL, options)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def subject(kind: str) -> SkinMatching:
    return made(kind)


def test_under_the_true_shape_skin_stays_where_it_is(subject: SkinMatching) -> None:
    truth = true_fit()
    views = subject.views(speckled_pictures(), truth)
    found = subject.matches(views, truth, [(0, 1), (0, 2)])
    assert [(m.first, m.second) for m in found] == [(0, 1), (0, 2)]
    for matches in found:
        off = matches.second_pixels - matched_points(truth, matches, matches.second)
        off *= np.array(views[matches.second].scale)
        assert np.median(np.linalg.norm(off, axis=1)) < 0.15, "working pixels"
        assert np.linalg.norm(off.mean(axis=0)) < 0.05


def test_the_first_pixel_lies_on_the_matched_point(subject: SkinMatching) -> None:
    truth = true_fit()
    for round_ in range(subject.rounds):
        (matches,) = subject.matches(
            subject.views(speckled_pictures(), truth), truth, [(1, 0)], round_=round_
        )
        np.testing.assert_allclose(matched_points(truth, matches, 1), matches.first_pixels, atol=1e-2)


def test_matching_leads_from_the_wrong_shape_to_the_true_one(subject: SkinMatching) -> None:
    """Landmarks that see the average face pull to it; the skin does not."""
    captures, seen = average_captures(), landmark_model()
    first = fit_identity(MODEL, captures, landmark_model=seen)
    start = LandmarkFit(first, captures, speckled_pictures())
    fit = refined(start, model=MODEL, landmark_model=seen, matcher=subject)
    assert fit is not None
    assert alike(fit, true_fit()) > 0.4 > alike(first, true_fit()) + 0.1


def test_one_picture_has_nothing_to_match(subject: SkinMatching) -> None:
    one = LandmarkFit(true_fit(), [], speckled_pictures()[:1])
    assert refined(one, model=MODEL, landmark_model=landmark_model(), matcher=subject) is None


def test_without_pairs_there_are_no_matches(subject: SkinMatching) -> None:
    truth = true_fit()
    assert subject.matches(subject.views(speckled_pictures(), truth), truth, []) == []


def test_pictures_without_anything_in_common_give_no_matches(kind: str) -> None:
    subject, truth, pictures = made(kind, MatchOptions(min_matches=200)), true_fit(), speckled_pictures()
    views = subject.views([pictures[0], noise_picture(pictures[1]), pictures[2]], truth)
    assert [m.second for m in subject.matches(views, truth, [(0, 1), (0, 2)])] == [2]


def test_a_picture_of_one_gray_matches_nothing(subject: SkinMatching) -> None:
    truth, pictures = true_fit(), speckled_pictures()
    gray = Image(np.full_like(pictures[1].pixels, 90))
    views = subject.views([pictures[0], gray, pictures[2]], truth)
    assert subject.matches(views, truth, [(0, 1), (1, 2)]) == []


def test_the_same_pictures_give_the_same_matches(subject: SkinMatching) -> None:
    truth = true_fit()
    views = subject.views(speckled_pictures(), truth)
    once, again = (pixels_of(subject.matches(views, truth, [(0, 1), (0, 2)])) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_match_is_kept_once_and_no_more_than_asked_for(subject: SkinMatching) -> None:
    truth, most = true_fit(), MatchOptions().samples
    views = subject.views(speckled_pictures(), truth)
    for round_ in range(subject.rounds):
        (matches,) = subject.matches(views, truth, [(0, 1)], round_=round_)
        assert len(matches.triangles) <= most
        assert len(np.unique(matches.first_pixels, axis=0)) == len(matches.first_pixels)

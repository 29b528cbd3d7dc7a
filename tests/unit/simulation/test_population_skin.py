from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.simulation.population.appearance import sampled
from recon_service.simulation.population.portraits import dense_pipeline, filled
from recon_service.simulation.population.scan import scan_portrait
from recon_service.simulation.population.skin import TILE_SIDE, fine_tiles
from recon_service.simulation.population.unwrapped import SIDE, Unwrapping, blurred_where, unwrapped_pixels


def test_tiles_are_periodic_noise_of_unit_variance():
    tiles = fine_tiles(np.random.default_rng(0))
    assert tiles[..., :2].std() == pytest.approx(1.0, abs=0.01)
    assert tiles[..., 2].min() == 0.0
    assert tiles[..., 2].max() <= 1.0
    step = np.abs(np.diff(tiles[..., 0], axis=0)).mean()
    assert np.abs(tiles[0, :, 0] - tiles[-1, :, 0]).mean() == pytest.approx(step, rel=0.15)


def test_sampling_takes_pixels_at_their_centers_and_wraps():
    tiles = fine_tiles(np.random.default_rng(0))
    at = np.array([[3.0, 5.0], [TILE_SIDE - 0.5, 7.0]], np.float32)
    out = sampled(tiles, at, wrap=True)
    np.testing.assert_allclose(out[0], tiles[5, 3], atol=1e-6)
    np.testing.assert_allclose(out[1], (tiles[7, -1] + tiles[7, 0]) / 2, atol=1e-5)


def test_unwrapping_finds_every_point_of_the_cheeks_where_it_says(basis):
    unwrapping = Unwrapping.of(basis)
    place = unwrapping.spread(basis.mean)
    front = np.flatnonzero((basis.outward[:, 2] > 0.5) & (np.arange(len(basis.mean)) < basis.narrow))
    pixel = unwrapped_pixels(basis.mean[front])
    found = place[np.round(pixel[:, 1]).astype(int), np.round(pixel[:, 0]).astype(int)]
    distance = np.linalg.norm(found - basis.mean[front], axis=1)
    assert np.quantile(distance, 0.9) < 0.6


def test_mirrored_points_unwrap_to_mirrored_columns():
    points = np.random.default_rng(0).normal(0, 60, (50, 3))
    here, there = unwrapped_pixels(points), unwrapped_pixels(points * [-1.0, 1.0, 1.0])
    np.testing.assert_allclose(here[:, 0] + there[:, 0], SIDE - 1, atol=1e-2)


def test_hidden_skin_is_filled_from_the_other_side():
    detail = np.random.default_rng(0).normal(size=(8, 8, 3)).astype(np.float32)
    seen = np.zeros((8, 8), np.float32)
    seen[:, :4] = 1
    out = filled(detail, seen)
    np.testing.assert_allclose(out[:, :4], detail[:, :4])
    np.testing.assert_allclose(out[:, 4:], detail[:, :4][:, ::-1])


def test_a_weighted_blur_of_a_constant_is_the_constant():
    weight = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    np.testing.assert_allclose(blurred_where(np.full((64, 64), 3.0, np.float32), weight, 8.0), 3.0, rtol=1e-3)


def test_no_two_people_have_the_same_skin(population):
    skins = [population.subject(n).person.skin for n in range(6)]
    details = [np.log(s.base[300:700, 300:700]).mean(axis=2) for s in skins]
    details = [(d - d.mean()).ravel() for d in details]
    for a in range(6):
        for b in range(a):
            assert np.corrcoef(details[a], details[b])[0, 1] < 0.9
    assert len({tuple(s.offsets.ravel()) for s in skins}) == 6
    assert all(s.base.min() > 0 and s.base.max() < 1 for s in skins)


def test_a_scan_gives_a_portrait_with_a_face(cases, population):
    from recon_service.application.computing.enroll import examine

    found = examine(scan_portrait(cases / "leeperrysmith"), dense_pipeline())
    assert found.landmarks is not None


def test_a_folder_without_a_scan_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="does not hold one scan"):
        scan_portrait(tmp_path)

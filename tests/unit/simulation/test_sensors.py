from __future__ import annotations

import numpy as np
import pytest

from recon_service.domain.camera import PinholeCamera
from recon_service.simulation.artifacts import Artifacts
from recon_service.simulation.depth_sensor import TrueDepth
from recon_service.simulation.sensors import Ideal, Stereo, StructuredLight, TimeOfFlight, correlated

CAMERA = PinholeCamera(200, 150, 600.0, 600.0, 99.5, 74.5)
NONE = Artifacts(flying_share=0.0, lost_share=0.0, grazing_share=0.0, holes=0.0)
SENSORS = [Stereo(), StructuredLight(), TimeOfFlight()]


def plane(z: float, cosine: float = 1.0) -> TrueDepth:
    shape = (CAMERA.height, CAMERA.width)
    return TrueDepth(np.full(shape, z), np.full(shape, cosine), np.ones(shape, dtype=bool))


@pytest.mark.parametrize("z", [350.0, 500.0, 900.0])
def test_stereo_noise_on_a_plane_is_the_formula_and_grows_with_the_square_of_the_distance(z):
    sensor = Stereo(drift_sd=0.0, scale_sd=0.0, disparity_step=0.0, artifacts=NONE)
    measured = sensor.measure(plane(z), CAMERA, np.random.default_rng(1))
    formula = z**2 * 0.08 / (600.0 * 50.0)
    assert sensor.sigma(z, CAMERA) == pytest.approx(formula)
    assert measured.std() == pytest.approx(formula, rel=0.03)
    assert measured.mean() == pytest.approx(z, abs=0.1)


def test_stereo_disparity_is_quantized():
    sensor = Stereo(scale_sd=0.0, disparity_step=0.25, artifacts=NONE)
    measured = sensor.measure(plane(500.0), CAMERA, np.random.default_rng(1))
    steps = 600.0 * 50.0 / measured / 0.25
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)


def test_the_scale_error_is_one_draw_per_capture():
    sensor = Stereo(disparity_sd=0.0, drift_sd=0.0, disparity_step=0.0, scale_sd=0.003, artifacts=NONE)
    scales = []
    for seed in range(200):
        measured = sensor.measure(plane(500.0), CAMERA, np.random.default_rng(seed))
        assert np.ptp(measured) < 1e-9
        scales.append(measured[0, 0] / 500.0 - 1)
    assert np.std(scales) == pytest.approx(0.003, rel=0.15)


@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_structured_light_noise_on_a_plane_is_the_formula(angle):
    sensor = StructuredLight(drift_sd=0.0, scale_sd=0.0, artifacts=NONE)
    measured = sensor.measure(plane(500.0, np.cos(angle)), CAMERA, np.random.default_rng(2))
    assert measured.std() == pytest.approx(sensor.sigma(500.0, CAMERA, angle=angle), rel=0.03)


@pytest.mark.parametrize(("z", "cosine"), [(500.0, 1.0), (1000.0, 1.0), (500.0, 0.5)])
def test_time_of_flight_noise_goes_with_distance_and_with_the_light_returned(z, cosine):
    sensor = TimeOfFlight(wiggling_mm=0.0, scale_sd=0.0, artifacts=NONE)
    measured = sensor.measure(plane(z, cosine), CAMERA, np.random.default_rng(3))
    assert measured.std() == pytest.approx(1.2 * z / 500.0 / np.sqrt(cosine), rel=0.03)


@pytest.mark.parametrize("extent", [0.0, 1.0, 4.0])
def test_correlated_noise_has_unit_variance_and_neighbors_that_agree(extent):
    noise = correlated((300, 300), extent, np.random.default_rng(4))
    assert noise.std() == pytest.approx(1.0, rel=0.08)
    neighbor = np.mean(noise[:, 1:] * noise[:, :-1]) / noise.var()
    # White noise under a Gaussian blur of extent s has the autocorrelation exp(-r² / (4 s²)).
    expected = 0.0 if extent == 0 else np.exp(-1 / (4 * extent**2))
    assert neighbor == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("sensor", SENSORS, ids=lambda s: s.name)
def test_the_same_seed_gives_the_same_frame_and_another_seed_another(sensor):
    first, again, other = (sensor.measure(plane(500.0), CAMERA, np.random.default_rng(s)) for s in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("sensor", [*SENSORS, Ideal()], ids=lambda s: s.name)
def test_where_nothing_is_nothing_is_measured(sensor):
    truth = plane(500.0)
    depth = truth.depth.copy()
    depth[:, :100] = 0.0
    measured = sensor.measure(TrueDepth(depth, truth.cosine, depth > 0), CAMERA, np.random.default_rng(9))
    assert (measured[:, :100] == 0).all()
    assert (measured[:, 110:] > 0).mean() > 0.9
    assert np.isfinite(measured).all()


def test_flying_and_lost_pixels_are_at_edges_only():
    truth = plane(500.0)
    depth = truth.depth.copy()
    depth[:, 100:] = 900.0
    artifacts = Artifacts(flying_share=0.4, lost_share=0.35, holes=0.0)
    out = artifacts.applied(depth, TrueDepth(depth, truth.cosine, depth < 600), np.random.default_rng(5))
    changed = out != depth
    assert set(np.flatnonzero(changed.any(axis=0))) == {98, 99, 100, 101}
    near = out[:, 98:102]
    assert np.mean(near == 0) == pytest.approx(0.35, abs=0.06)
    assert np.mean((near != 0) & changed[:, 98:102]) == pytest.approx(0.4, abs=0.06)
    assert (out[changed & (out > 0)] > depth[changed & (out > 0)]).all(), "flying pixels lie behind the edge"


def test_slanted_skin_drops_out():
    truth = plane(500.0, cosine=0.1)
    out = Artifacts(holes=0.0).applied(truth.depth, truth, np.random.default_rng(6))
    assert np.mean(out == 0) == pytest.approx(0.7, abs=0.03)

"""Noise models of depth cameras, as values. Each turns true depth into what such a camera would report.

The random part follows the physics of each principle; the systematic part (a scale error per capture, smooth
errors over tens of pixels) is what calibration and matching leave over and what averaging within a frame
cannot remove. Parameters are plausible for cameras of 2020-2025 at kiosk distance; they are no measurement of
a particular product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
from scipy.ndimage import gaussian_filter

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.simulation.artifacts import Artifacts
from recon_service.simulation.depth_sensor import TrueDepth

MIN_COSINE = 0.35
"""Noise stops growing at this grazing angle: beyond it pixels drop out instead."""


class DepthSensor(Protocol):
    """A principle of depth measurement. name: the camera name of its frames."""

    name: ClassVar[str]

    def measure(self, truth: TrueDepth, camera: PinholeCamera, rng: np.random.Generator) -> Array:
        """Reported depth (H, W) in millimetres, 0 where nothing was measured."""
        ...


@dataclass(frozen=True, slots=True)
class Ideal:
    """No error at all: for tests of geometry."""

    name: ClassVar[str] = "simulated-ideal"

    def measure(self, truth: TrueDepth, camera: PinholeCamera, rng: np.random.Generator) -> Array:
        return truth.depth.copy()


@dataclass(frozen=True, slots=True)
class Stereo:
    """Active stereo. Depth is z = f b / d for a disparity of d pixels, so that a disparity error s gives, to
    first order,

        sigma_z = z² s / (f b)

    (standard error propagation; e.g. Gallup et al., Variable Baseline/Resolution Stereo, CVPR 2008).

    baseline_mm: b. disparity_sd: s of the matching noise in pixels, correlated over ``correlation_px`` (the
    matching window); drift_sd, drift_px: a smooth matching bias and its extent. disparity_step: quantum of
    the disparity. scale_sd: relative error of f·b left by calibration, one draw per capture.
    """

    name: ClassVar[str] = "simulated-stereo"
    baseline_mm: float = 50.0
    disparity_sd: float = 0.08
    correlation_px: float = 1.0
    drift_sd: float = 0.05
    drift_px: float = 20.0
    disparity_step: float = 1 / 32
    scale_sd: float = 0.003
    artifacts: Artifacts = field(default_factory=Artifacts)

    def sigma(self, depth: float, camera: PinholeCamera) -> float:
        """Standard deviation in mm of the matching noise on a surface seen head-on at ``depth`` mm."""
        return depth**2 * self.disparity_sd / (camera.fx * self.baseline_mm)

    def measure(self, truth: TrueDepth, camera: PinholeCamera, rng: np.random.Generator) -> Array:
        base = camera.fx * self.baseline_mm
        seen = truth.depth > 0
        disparity = base / np.where(seen, truth.depth, 1.0)
        slant = np.clip(truth.cosine, MIN_COSINE, 1.0)
        disparity = disparity + self.disparity_sd * correlated(seen.shape, self.correlation_px, rng) / slant
        disparity = disparity + self.drift_sd * correlated(seen.shape, self.drift_px, rng)
        if self.disparity_step > 0:
            disparity = np.round(disparity / self.disparity_step) * self.disparity_step
        depth = base * (1 + self.scale_sd * rng.standard_normal()) / np.maximum(disparity, 1e-3)
        return self.artifacts.applied(np.where(seen, depth, 0.0), truth, rng)


@dataclass(frozen=True, slots=True)
class StructuredLight:
    """Coded light: triangulation like stereo, but the code gives a finer disparity, and the noise grows at
    grazing angles.

    The axial noise is z² s / (f b) as in stereo; the angular term is that of Nguyen, Izadi and Lovell,
    Modeling Kinect Sensor Noise (3DIMPVT 2012): sigma_angle = 0.0001 m · θ² / (√z (π/2 − θ)²) with z
    in meters, θ the angle between ray and normal.
    """

    name: ClassVar[str] = "simulated-structured-light"
    baseline_mm: float = 60.0
    disparity_sd: float = 0.03
    correlation_px: float = 0.8
    drift_sd: float = 0.02
    drift_px: float = 25.0
    scale_sd: float = 0.001
    artifacts: Artifacts = field(
        default_factory=lambda: Artifacts(flying_share=0.2, holes=3.0, grazing_cosine=0.15)
    )

    def sigma(self, depth: float, camera: PinholeCamera, *, angle: float = 0.0) -> float:
        """Standard deviation in mm of the pixel noise at ``depth`` mm and ``angle`` radians from head-on."""
        axial = depth**2 * self.disparity_sd / (camera.fx * self.baseline_mm)
        return axial + 0.1 / np.sqrt(depth / 1e3) * angle**2 / max(np.pi / 2 - angle, 1e-3) ** 2

    def measure(self, truth: TrueDepth, camera: PinholeCamera, rng: np.random.Generator) -> Array:
        seen = truth.depth > 0
        depth = np.where(seen, truth.depth, 1.0)
        square = depth**2 / (camera.fx * self.baseline_mm)
        angle = np.arccos(np.clip(truth.cosine, MIN_COSINE, 1.0))
        grazing = 0.1 / np.sqrt(depth / 1e3) * angle**2 / (np.pi / 2 - angle) ** 2
        noise = (self.disparity_sd * square + grazing) * correlated(seen.shape, self.correlation_px, rng)
        noise = noise + self.drift_sd * square * correlated(seen.shape, self.drift_px, rng)
        measured = (depth + noise) * (1 + self.scale_sd * rng.standard_normal())
        return self.artifacts.applied(np.where(seen, measured, 0.0), truth, rng)


@dataclass(frozen=True, slots=True)
class TimeOfFlight:
    """Continuous-wave time of flight. The noise is that of a phase measured with shot noise: it goes with
    1/√(light returned), and the light returned from a matte surface goes with cosine / r² (Lange and Seitz,
    Solid-State Time-of-Flight Range Camera, IEEE J. Quantum Electronics 37(3), 2001), so

        sigma = sigma_at_reference · (z / reference) / √cosine.

    The higher harmonics of the modulation leave a periodic error over distance ('wiggling'); its period is a
    quarter of the modulation wavelength for four-phase sampling.
    """

    name: ClassVar[str] = "simulated-time-of-flight"
    sigma_at_reference: float = 1.2
    reference_mm: float = 500.0
    modulation_mhz: float = 100.0
    wiggling_mm: float = 1.0
    scale_sd: float = 0.001
    artifacts: Artifacts = field(
        default_factory=lambda: Artifacts(flying_share=0.7, lost_share=0.1, holes=1.0)
    )

    def sigma(self, depth: float, *, cosine: float = 1.0) -> float:
        """Standard deviation in mm at ``depth`` mm."""
        return self.sigma_at_reference * depth / self.reference_mm / float(np.sqrt(cosine))

    def measure(self, truth: TrueDepth, camera: PinholeCamera, rng: np.random.Generator) -> Array:
        seen = truth.depth > 0
        sigma = self.sigma_at_reference * truth.depth / self.reference_mm
        sigma = sigma / np.sqrt(np.clip(truth.cosine, MIN_COSINE, 1.0))
        # The distance of one period of the phase is c / (2 f): there and back.
        period = 299_792.458 / (2 * self.modulation_mhz) / 4
        phase = rng.uniform(0, 2 * np.pi)
        wiggling = self.wiggling_mm * np.sin(2 * np.pi * truth.depth / period + phase)
        depth = truth.depth + sigma * rng.standard_normal(seen.shape) + wiggling
        depth = depth * (1 + self.scale_sd * rng.standard_normal())
        return self.artifacts.applied(np.where(seen, depth, 0.0), truth, rng)


def correlated(shape: tuple[int, int], extent: float, rng: np.random.Generator) -> Array:
    """Gaussian noise (H, W) of unit variance, correlated as white noise under a Gaussian blur of ``extent``
    pixels (0: white).

    The blur keeps Σ w² of the variance; with the border wrapped around, every pixel keeps the same share and
    the division by it is exact.
    """
    white = rng.standard_normal(shape)
    if extent <= 0:
        return white
    impulse = np.zeros(shape)
    impulse[shape[0] // 2, shape[1] // 2] = 1.0
    kept = float(np.sqrt((gaussian_filter(impulse, extent, mode="wrap") ** 2).sum()))
    return np.asarray(gaussian_filter(white, extent, mode="wrap") / kept)

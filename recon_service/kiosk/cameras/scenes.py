"""Scenes for the simulated camera. Here, and nowhere else in the kiosk, the simulation is loaded."""

from __future__ import annotations

import numpy as np

from recon_service.canonical_model import load_builtin
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.simulation import KIOSK_CAMERA, DepthSensor, StructuredLight, sample_head, simulate_capture
from recon_service.simulation.capture import visit_pose
from recon_service.simulation.texture import PortraitTexture
from recon_service.weights import bundled_directory


class HeadScene:
    """A head that stands before the camera and moves as people do who hold still.

    head: (V, 3) mm in the head frame, or None for one drawn from the built-in model by ``seed``. texture: for
    a color picture; it belongs to the head's vertices. sway_mm, sway_deg: standard deviations between frames.
    """

    def __init__(
        self,
        head: Mesh | None = None,
        *,
        seed: int = 0,
        sensor: DepthSensor | None = None,
        camera: PinholeCamera = KIOSK_CAMERA,
        texture: PortraitTexture | None = None,
        wall_mm: float | None = 1600.0,
        sway_mm: float = 1.5,
        sway_deg: float = 0.7,
    ) -> None:
        rng = np.random.default_rng([seed, 0])
        if head is None:
            head = sample_head(load_builtin(bundled_directory() / "builtin.npz"), rng).surface()
        self._head, self._seed = head, seed
        self._sensor = sensor or StructuredLight()
        self._camera, self._texture, self._wall = camera, texture, wall_mm
        self._sway = sway_mm, sway_deg
        self._stands = visit_pose(rng)

    def frame(self, number: int) -> DepthFrame:
        """As the camera sees it."""
        rng = np.random.default_rng([self._seed, 1, number])
        move, turn = rng.normal(0.0, self._sway[0], 3), rng.normal(0.0, np.radians(self._sway[1]), 3)
        pose = self._stands.moved(turn, move)
        return simulate_capture(
            self._head, self._camera, pose, self._sensor, rng, wall_mm=self._wall, texture=self._texture
        )

    def pose(self) -> HeadPose:
        """Where the head is, but for its sway."""
        return self._stands

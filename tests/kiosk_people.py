"""People of a synthetic population as a kiosk meets them: selfies for the enrollment, full camera frames of
visits, and a print that shows one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from recon_service.demo.simulated import jpeg
from recon_service.domain.depth_frame import DepthFrame
from recon_service.simulation import KIOSK_CAMERA, StructuredLight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
from recon_service.simulation.prints import SPECIES, simulate_print
from tests.kiosk_devices import uncropped

SEED = 5
FRAMES = 4


@dataclass(frozen=True)
class Visitor:
    """selfies: JPEG files. frames: of one visit, in the camera's full size, with color."""

    name: str
    selfies: tuple[bytes, ...]
    frames: tuple[DepthFrame, ...]


@cache
def visitor(index: int, *, selfies: int = 5) -> Visitor:
    """Subject ``index`` of the population; without selfies those who only visit are made faster."""
    subject = SyntheticPopulation(PopulationSpec(seed=SEED, subjects=index + 1)).subject(index)
    frames = subject.visit(StructuredLight(), 0, FRAMES, images=True)
    return Visitor(
        subject.identity_name,
        tuple(jpeg(image) for image in subject.selfies(selfies)) if selfies else (),
        tuple(uncropped(frame, KIOSK_CAMERA) for frame in frames),
    )


def flat_print(of: Visitor) -> tuple[DepthFrame, ...]:
    """A sheet of paper with the visitor's picture, held where the face was."""
    made = []
    for number, frame in enumerate(of.frames):
        row, column = np.nonzero((frame.depth > 0) & (frame.depth < 800))
        center = np.array([column.mean(), row.mean()])
        place = frame.camera.rays(center[None])[0] * float(np.median(frame.depth[row, column]))
        rng = np.random.default_rng([7, number])
        eyes = center + np.array([[-30.0, -30.0], [30.0, -30.0]])
        shown = simulate_print(SPECIES["flat-print"], frame, place, eyes, StructuredLight(), rng)
        depth = np.where(shown.depth > 0, shown.depth, 1400.0)
        made.append(DepthFrame(depth, frame.camera, frame.camera_name, frame.image))
    return tuple(made)

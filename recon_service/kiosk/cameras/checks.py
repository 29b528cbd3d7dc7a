"""What is checked when a camera starts: units, range, alignment, noise, frame rate.

A wrong depth unit or a picture that is not aligned does not show on a screen, and ruins every comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.kiosk.cameras.camera import CameraFrame
from recon_service.kiosk.cameras.parameters import CameraParameters
from recon_service.kiosk.errors import ImplausibleDepth

LEAST_VALID: Final = 0.05
"""Share of pixels with a depth below which a camera is covered, dead or in its own light."""
ROOM_MM: Final = (80.0, 12_000.0)
"""The median distance of anything that stands before a kiosk."""
LEAST_EDGES: Final = 400
LEAST_ALIGNED: Final = 1.15
"""Edges of the picture lie on edges of depth so many times more often than beside them."""
SHIFT_PX: Final = 24
NOISE_FACTOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. good: None where there was nothing to judge it by."""

    name: str
    value: float
    unit: str
    good: bool | None
    note: str = ""


def check_frames(frames: Sequence[CameraFrame], parameters: CameraParameters) -> tuple[Check, ...]:
    """All checks on some frames of one camera, best of a scene with somebody in it."""
    millimetres = [frame.millimetres() for frame in frames]
    valid = float(np.mean([(m > 0).mean() for m in millimetres]))
    found = [Check("valid", valid, "share of pixels", valid >= LEAST_VALID)]
    if valid >= LEAST_VALID:
        median = float(np.median(np.concatenate([m[m > 0] for m in millimetres])))
        plausible = ROOM_MM[0] <= median <= ROOM_MM[1]
        found.append(Check("distance", median, "mm, median", plausible, _unit_note(median)))
        inside = [
            (m[m > 0] >= 0.8 * parameters.near_mm) & (m[m > 0] <= 1.25 * parameters.far_mm)
            for m in millimetres
        ]
        share = float(np.mean([i.mean() for i in inside]))
        found.append(Check("range", share, "share within the camera's range", share >= 0.5))
        found.append(_noise(millimetres, frames[0], parameters, median))
    found += [_alignment(frames), _rate(frames)]
    return tuple(found)


def require_plausible(checks: Sequence[Check]) -> None:
    """Raises ImplausibleDepth for what would ruin every comparison: units, alignment, no depth at all."""
    bad = [c for c in checks if c.good is False and c.name in ("valid", "distance", "alignment")]
    if bad:
        said = "; ".join(f"{c.name}: {c.value:.3g} {c.unit}{f' ({c.note})' if c.note else ''}" for c in bad)
        raise ImplausibleDepth(
            said, next_step="Check the depth unit, the alignment and that nothing covers the camera."
        )


def _unit_note(median: float) -> str:
    if median < ROOM_MM[0]:
        return "as if meters or centimeters were taken for millimeters"
    return "as if tenths of a millimeter were taken for millimeters" if median > ROOM_MM[1] else ""


def _noise(
    millimetres: Sequence[NDArray[np.float32]],
    first: CameraFrame,
    parameters: CameraParameters,
    median: float,
) -> Check:
    """Standard deviation of pixels over time: says something where nothing moves."""
    if len(millimetres) < 5:
        return Check("noise", float("nan"), "mm", None, "needs 5 frames")
    stack = np.stack(millimetres)
    always = (stack > 0).all(axis=0)
    if always.sum() < 100:
        return Check("noise", float("nan"), "mm", None, "too few pixels that always have depth")
    # Of differences between neighbors in time: a slow drift or somebody who breathes is no noise.
    steps = np.diff(stack[:, always], axis=0)
    sd = float(np.median(np.abs(steps)) / 0.6745 / np.sqrt(2.0))
    expected = parameters.sd_mm(median, focal_px=first.camera.fx)
    note = f"{parameters.title}: {expected:.2f} mm expected at {median:.0f} mm"
    return Check("noise", sd, "mm over time", sd <= NOISE_FACTOR * expected, note)


def _alignment(frames: Sequence[CameraFrame]) -> Check:
    """How much more often edges of the picture lie on edges of depth than on edges of depth that were moved
    aside, in the direction that speaks most against the alignment.
    """
    ratios, counted = [], 0
    for frame in frames[:5]:
        image = frame.image()
        if image is None:
            continue
        depth_edges = _depth_edges(frame.millimetres())
        gray = cv2.GaussianBlur(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY), (5, 5), 0).astype(np.float32)
        strength = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        counted += int(depth_edges.sum())
        if depth_edges.sum() < LEAST_EDGES:
            continue
        on = float(strength[_widened(depth_edges)].mean())
        beside = [
            float(strength[_widened(np.roll(depth_edges, (dy, dx), axis=(0, 1)))].mean())
            for dx, dy in ((SHIFT_PX, 0), (-SHIFT_PX, 0), (0, SHIFT_PX), (0, -SHIFT_PX))
        ]
        ratios.append(on / max(max(beside), 1e-6))
    if not ratios:
        note = "no picture" if counted == 0 else "too few edges of depth"
        return Check("alignment", float("nan"), "times", None, note)
    ratio = float(np.median(ratios))
    return Check("alignment", ratio, "times stronger edges where depth has edges", ratio >= LEAST_ALIGNED)


def _depth_edges(depth: Array | NDArray[np.float32]) -> NDArray[np.bool_]:
    """Jumps of 5 cm and more between near things and what is behind or missing."""
    filled = cv2.medianBlur(np.where(depth > 0, np.minimum(depth, 2000.0), 2000.0).astype(np.float32), 5)
    window = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(filled, window) - cv2.erode(filled, window) > 50.0)


def _widened(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _rate(frames: Sequence[CameraFrame]) -> Check:
    """Frames each second by the device's clock, and how many of them came."""
    if len(frames) < 2:
        return Check("rate", float("nan"), "frames per second", None, "needs 2 frames")
    spread = frames[-1].timestamp_ms - frames[0].timestamp_ms
    if spread <= 0:
        return Check("rate", 0.0, "frames per second", False, "time stamps do not advance")
    taken = max(frames[-1].number - frames[0].number, len(frames) - 1)
    lost = taken - (len(frames) - 1)
    rate = 1000.0 * taken / spread
    return Check("rate", rate, "frames per second", rate >= 5.0, f"{lost} lost" if lost else "")

"""Look at a synthetic population: ``python -m recon_service.simulation.contact_sheet --out sheet.jpg``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import ReconError
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation, SyntheticSubject
from recon_service.simulation.sensors import Stereo, StructuredLight, TimeOfFlight

SELFIES: Final = 3
SENSORS: Final = (Stereo(), StructuredLight(), TimeOfFlight())
RELIEF_MM: Final = 2.5
"""Slope per pixel, in mm, at which the relief of a depth map is darkest or lightest."""


def contact_sheet(
    population: SyntheticPopulation, *, height: int = 240, across: int = 2
) -> NDArray[np.uint8]:
    """Selfies, one of them degraded, and depth frames of every subject, ``across`` subjects in a row, (H, W,
    3).
    """
    strips = [_strip(subject, height) for subject in population]
    blank = np.full_like(strips[0], 255)
    strips += [blank] * (-len(strips) % across)
    rows = [np.concatenate(strips[n : n + across], axis=1) for n in range(0, len(strips), across)]
    return np.concatenate(rows)


def relief(frame: DepthFrame) -> NDArray[np.uint8]:
    """A depth frame lit from the left, (H, W, 3), which shows noise and holes as a map of depth does not."""
    depth = frame.depth
    known = (depth > 0) & (np.roll(depth, 1, axis=1) > 0)
    slope = np.clip((np.roll(depth, 1, axis=1) - depth) / RELIEF_MM, -1, 1)
    gray = np.where(known, 128 + 110 * slope, 20)
    gray = np.where(known & (depth > np.median(depth[depth > 0]) + 250), 60, gray)
    return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)


def _strip(subject: SyntheticSubject, height: int) -> NDArray[np.uint8]:
    pictures = [image.pixels for image in subject.selfies(SELFIES)]
    pictures.append(subject.selfies(1, degraded=True)[0].pixels)
    pictures += [relief(subject.visit(sensor, frames=1)[0]) for sensor in SENSORS]
    return np.concatenate([_fitted(picture, height, round(0.72 * height)) for picture in pictures], axis=1)


def _fitted(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The middle of ``picture``, ``height`` x ``width``."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.asarray(resized[top : top + height, left : left + width], dtype=np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(description="A contact sheet of a synthetic population.")
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=240, help="of each picture, in pixels")
    parser.add_argument("--across", type=int, default=2, help="subjects in a row")
    parser.add_argument("--textures", default=None, help="folder with a scan whose colors take part")
    parser.add_argument("--out", type=Path, required=True, help=".png or .jpg")
    asked = parser.parse_args(arguments)
    try:
        spec = PopulationSpec(seed=asked.seed, subjects=asked.subjects, texture_folder=asked.textures)
        sheet = contact_sheet(SyntheticPopulation(spec), height=asked.height, across=asked.across)
    except ReconError as problem:
        print(problem, file=sys.stderr)
        return 1
    PillowImage.fromarray(sheet).save(asked.out, quality=82)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the encoder's 621 numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from third_party.resnet50.parameters import FEATURES, parameter_shapes

HEADS: Final = (156, 177, 251, 27, 3, 2, 1, 4)
"""Outputs of the eight heads: identity, expression, texture, light, angles, tx ty, tz, eyes."""
IDENTITY_MODES: Final = HEADS[0]
EXPRESSION_MODES: Final = HEADS[1]
OUTPUTS: Final = sum(HEADS)


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of the encoder by its published name."""
    shapes = parameter_shapes("backbone.")
    for index, outputs in enumerate(HEADS):
        shapes[f"final_layers.{index}.weight"] = (outputs, FEATURES, 1, 1)
        shapes[f"final_layers.{index}.bias"] = (outputs,)
    return shapes


@dataclass(frozen=True)
class FaceVerseCode:
    """The named parts of the output of one face.

    identity: (156,). expression: (177,), the last six move the tongue. texture: (251,). light: (9, 3).
    angles: (3,) radians about x, y, z. translation: (3,) in the model's unit. eyes: (4,) radians, left eye
    up and sideways, right eye up and sideways.
    """

    identity: NDArray[np.float64]
    expression: NDArray[np.float64]
    texture: NDArray[np.float64]
    light: NDArray[np.float64]
    angles: NDArray[np.float64]
    translation: NDArray[np.float64]
    eyes: NDArray[np.float64]


def named(raw: NDArray[np.floating]) -> FaceVerseCode:
    """The parts of (621,) numbers. Raises ValueError for another shape."""
    if raw.shape != (OUTPUTS,):
        raise ValueError(f"FaceVerse's encoder gives ({OUTPUTS},) numbers, not {raw.shape}")
    parts = np.split(np.asarray(raw, dtype=np.float64), np.cumsum(HEADS)[:-1])
    identity, expression, texture, light, angles, sideways, away, eyes = parts
    return FaceVerseCode(
        identity=identity,
        expression=expression,
        texture=texture,
        light=light.reshape(9, 3),
        angles=angles,
        translation=np.concatenate([sideways, away]),
        eyes=eyes,
    )

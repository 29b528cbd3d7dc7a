"""What the encoder's 236 numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from third_party.resnet50.parameters import FEATURES, parameter_shapes

SHAPE: Final = slice(0, 100)
TEXTURE: Final = slice(100, 150)
EXPRESSION: Final = slice(150, 200)
POSE: Final = slice(200, 206)
CAMERA: Final = slice(206, 209)
LIGHT: Final = slice(209, 236)
OUTPUTS: Final = 236
HIDDEN: Final = 1024


def encoder_shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of the encoder by its name in ``E_flame``."""
    return {
        **parameter_shapes("encoder."),
        "layers.0.weight": (HIDDEN, FEATURES),
        "layers.0.bias": (HIDDEN,),
        "layers.2.weight": (OUTPUTS, HIDDEN),
        "layers.2.bias": (OUTPUTS,),
    }


@dataclass(frozen=True)
class DecaCode:
    """The named parts of the output of one face.

    shape: (100,) of FLAME's identity modes. texture: (50,). expression: (50,). global_rotation, jaw: (3,)
    rotation vectors in radians. scale, offset: the weak-perspective camera. light: (9, 3) spherical
    harmonics of the three channels.
    """

    shape: NDArray[np.float64]
    texture: NDArray[np.float64]
    expression: NDArray[np.float64]
    global_rotation: NDArray[np.float64]
    jaw: NDArray[np.float64]
    scale: float
    offset: tuple[float, float]
    light: NDArray[np.float64]


def named(raw: NDArray[np.floating]) -> DecaCode:
    """The parts of (236,) numbers. Raises ValueError for another shape."""
    if raw.shape != (OUTPUTS,):
        raise ValueError(f"DECA's encoder gives ({OUTPUTS},) numbers, not {raw.shape}")
    code = np.asarray(raw, dtype=np.float64)
    pose, camera = code[POSE], code[CAMERA]
    return DecaCode(
        shape=code[SHAPE],
        texture=code[TEXTURE],
        expression=code[EXPRESSION],
        global_rotation=pose[:3],
        jaw=pose[3:],
        scale=float(camera[0]),
        offset=(float(camera[1]), float(camera[2])),
        light=code[LIGHT].reshape(9, 3),
    )

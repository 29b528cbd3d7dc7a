"""What a reconstruction model makes of one face in one picture.

Every backend (3DDFA-V2, DECA, FaceVerse, …) speaks its own morphable model; this value is what all of them
have in common, beside the numbers of their own that anybody may want to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import AnyArray, Array, finite, frozen, shaped
from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels of the picture; may reach beyond it."""


@dataclass(frozen=True, slots=True)
class ReconstructedFace:
    """One face by one backend.

    backend: its name, the key of its noise table. box: of the detected face. region: what was cut out for
    the network. score: of the detection, 0 to 1. raw: (P,) the network's output as it is. parameters: named
    arrays in the backend's own meaning and units. pose: (yaw, pitch, roll) in degrees by the original's
    convention, to be compared with the original's. rotation: (3, 3) head frame to camera frame, a proper
    rotation, to be compared with other backends (``angles``). landmarks: (68, 2) pixels, iBUG's order.
    posed: (V, 3) the mesh with its expression as the picture shows it, in pixels (x right, y down, z away
    from the viewer from an arbitrary zero). neutral: the face without expression or pose, head frame, mm of
    a mean person: a picture alone hardly tells them.
    """

    backend: str
    box: Box
    region: Box
    score: float
    raw: Array
    parameters: Mapping[str, Array]
    pose: tuple[float, float, float]
    rotation: Array
    landmarks: Array
    posed: Array
    neutral: Mesh

    def __post_init__(self) -> None:
        if not self.backend:
            raise InvalidValue("a reconstructed face names its backend")
        for name, (left, top, right, bottom) in (("box", self.box), ("region", self.region)):
            if not (np.isfinite([left, top, right, bottom]).all() and right > left and bottom > top):
                raise InvalidValue(f"the {name} of a face must have a positive size")
        if not 0.0 <= self.score <= 1.0:
            raise InvalidValue(f"a detection score lies between 0 and 1, not {self.score:g}")
        finite(shaped(self.raw, "the network's output", None), "the network's output")
        finite(np.array(self.pose), "pose")
        HeadPose(self.rotation, np.zeros(3))  # refuses what is no rotation
        finite(shaped(self.landmarks, "landmarks", 68, 2), "landmarks")
        finite(shaped(self.posed, "the posed mesh", len(self.neutral.vertices), 3), "the posed mesh")
        named = {name: finite(frozen(np.asarray(array)), name) for name, array in self.parameters.items()}
        object.__setattr__(self, "parameters", MappingProxyType(named))

    @property
    def triangles(self) -> NDArray[np.int64]:
        """(F, 3) of the posed and of the neutral mesh alike."""
        return self.neutral.triangles

    @property
    def angles(self) -> tuple[float, float, float]:
        """(yaw, pitch, roll) in degrees by the service's convention (``HeadPose``), for all backends."""
        return HeadPose(self.rotation, np.zeros(3)).angles()

    def __reduce__(self) -> tuple[object, ...]:
        # Faces cross process borders; a read-only mapping does not by itself.
        fields = (getattr(self, name) for name in self.__dataclass_fields__)
        return (
            ReconstructedFace,
            tuple(dict(f) if isinstance(f, MappingProxyType) else f for f in fields),
        )


def named_arrays(**arrays: AnyArray) -> dict[str, Array]:
    """Parameters by name as float64."""
    return {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}

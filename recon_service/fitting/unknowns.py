"""The unknowns of a fit, and where each stands in the vector of the normal equations.

[ identity a (K) | log focal per camera (G) | capture 0: expression (E), rotation (3), translation (3) |
capture 1: … ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import Capture
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose

POSE_UNKNOWNS = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of every unknown. focal_of: for each capture the column of its log focal, or None where the
    focal is known.
    """

    identity_modes: int
    expression_modes: int
    captures: int
    focal_of: tuple[int | None, ...]
    focal_sds: tuple[float, ...]

    @classmethod
    def of(cls, model: MorphableModel, captures: Sequence[Capture]) -> Layout:
        """Captures whose cameras have the same stated intrinsics share one unknown focal length: one phone
        took them.
        """
        groups: dict[tuple[PinholeCamera, float], int] = {}
        focal_of: list[int | None] = []
        for capture in captures:
            if capture.log_focal_sd == 0.0:
                focal_of.append(None)
                continue
            group = groups.setdefault((capture.camera, capture.log_focal_sd), len(groups))
            focal_of.append(model.identity_modes + group)
        return cls(
            model.identity_modes,
            model.expression_modes,
            len(captures),
            tuple(focal_of),
            tuple(sd for _, sd in groups),
        )

    @property
    def size(self) -> int:
        return self._captures_from + self.captures * self._per_capture

    @property
    def _captures_from(self) -> int:
        return self.identity_modes + len(self.focal_sds)

    @property
    def _per_capture(self) -> int:
        return self.expression_modes + POSE_UNKNOWNS

    @property
    def identity(self) -> slice:
        return slice(0, self.identity_modes)

    def expression(self, capture: int) -> slice:
        start = self._captures_from + capture * self._per_capture
        return slice(start, start + self.expression_modes)

    def pose(self, capture: int) -> slice:
        start = self._captures_from + capture * self._per_capture + self.expression_modes
        return slice(start, start + POSE_UNKNOWNS)

    def columns(self, capture: int) -> NDArray[np.int64]:
        """Columns of a capture's Jacobian in the order identity, expression, pose, and the log focal last
        where it is unknown.
        """
        parts = [self.identity, self.expression(capture), self.pose(capture)]
        columns = np.concatenate([np.arange(p.start, p.stop) for p in parts])
        focal = self.focal_of[capture]
        return columns if focal is None else np.append(columns, focal)


@dataclass(frozen=True, slots=True)
class State:
    """Current values. identity: (K,). expressions: (captures, E). log_focals: (G,), 0 is the stated focal
    length.
    """

    identity: Array
    log_focals: Array
    expressions: Array
    poses: tuple[HeadPose, ...]

    def focal_factor(self, layout: Layout, capture: int) -> float:
        """True focal / stated focal of the capture's camera."""
        column = layout.focal_of[capture]
        return 1.0 if column is None else float(np.exp(self.log_focals[column - layout.identity_modes]))

    def moved(self, step: Array, layout: Layout) -> State:
        """The state after adding a step (size,)."""
        expressions = self.expressions.copy()
        poses = []
        for i, pose in enumerate(self.poses):
            expressions[i] += step[layout.expression(i)]
            motion = step[layout.pose(i)]
            poses.append(pose.moved(motion[:3], motion[3:]))
        focals = slice(layout.identity_modes, layout.identity_modes + len(layout.focal_sds))
        return State(
            self.identity + step[layout.identity], self.log_focals + step[focals], expressions, tuple(poses)
        )

"""Poses and cameras of a batch of pictures, as tensors that project into their working views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recon_service.domain.fit import CaptureFit
from recon_service.matching.view import FaceView


@dataclass(frozen=True, slots=True)
class BatchedCameras:
    """rotation: (V, 3, 3), translation: (V, 3) mm, head to camera. focal, center: (V, 2) in working pixels.
    distortion: (V, 5). size: (V, 2) width and height of the working views.
    """

    rotation: Tensor
    translation: Tensor
    focal: Tensor
    center: Tensor
    distortion: Tensor
    size: Tensor

    @classmethod
    def of(
        cls, captures: Sequence[CaptureFit], views: Sequence[FaceView], device: torch.device
    ) -> BatchedCameras:
        """Working pixels are counted from the cut, so that single precision suffices at any picture size."""
        scale = np.array([view.scale for view in views])
        cut = np.array([(view.left, view.top) for view in views])
        cameras = [capture.camera for capture in captures]

        def tensor(values: object) -> Tensor:
            return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(device)

        return cls(
            tensor([capture.pose.rotation for capture in captures]),
            tensor([capture.pose.translation for capture in captures]),
            tensor(scale * [(c.fx, c.fy) for c in cameras]),
            tensor(scale * (np.array([(c.cx, c.cy) for c in cameras]) - cut + 0.5) - 0.5),
            tensor([c.distortion for c in cameras]),
            tensor([view.gray.shape[::-1] for view in views]),
        )

    def posed(self, points: Tensor) -> Tensor:
        """(V, N, 3) mm in the camera frame, of points (V, N, 3) in the head frame."""
        return points @ self.rotation.transpose(1, 2) + self.translation[:, None]

    def project(self, points: Tensor) -> Tensor:
        """(V, N, 2) working pixels of points (V, N, 3) in the camera frame."""
        x, y = (points[..., :2] / points[..., 2:]).unbind(-1)
        k1, k2, p1, p2, k3 = self.distortion[..., None].unbind(1)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent = torch.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            dim=-1,
        )
        return bent * self.focal[:, None] + self.center[:, None]

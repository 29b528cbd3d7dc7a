"""The unrolled skin on the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from recon_service.matching.unrolled import UnrolledSkin


class DeviceSkin:
    """An ``UnrolledSkin`` whose coordinates are computed for many people and expressions at once."""

    def __init__(self, skin: UnrolledSkin, device: torch.device) -> None:
        def tensor(values: object) -> Tensor:
            return torch.as_tensor(values, device=device)

        self.skin = skin
        self._mean, self._identity = tensor(skin.mean), tensor(skin.identity)
        self._expression = tensor(skin.expression)
        self._node = tensor(skin.rows * skin.node_shape[1] + skin.columns)
        rows, columns = skin.texels
        self.texels = torch.stack([tensor(columns), tensor(rows)], dim=1)

    def points(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(V, N, 3) mm, head frame, of coefficients (V, K) and (V, E)."""
        flat = self._mean + identity @ self._identity.T + expression @ self._expression.T
        return flat.reshape(len(identity), -1, 3)

    def normals(self, points: Tensor) -> Tensor:
        """(V, N, 3) unit normals out of the face, by differences across the grid; zero at its border."""
        grid = self._gridded(points, outside=torch.nan)
        down, right = torch.full_like(grid, torch.nan), torch.full_like(grid, torch.nan)
        down[:, 1:-1], right[:, :, 1:-1] = grid[:, 2:] - grid[:, :-2], grid[:, :, 2:] - grid[:, :, :-2]
        normals = torch.linalg.cross(down, right).flatten(1, 2)[:, self._node]
        return torch.nan_to_num(normals / torch.linalg.norm(normals, dim=-1, keepdim=True).clamp_min(1e-12))

    def spread(self, values: Tensor, *, outside: float = 0.0) -> Tensor:
        """(V, C, H, W): values (V, N, C) at the nodes, interpolated to every texel."""
        coarse = self._gridded(values, outside=outside).permute(0, 3, 1, 2)
        return functional.interpolate(coarse, size=self.skin.shape, mode="bilinear", align_corners=True)

    def _gridded(self, values: Tensor, *, outside: float) -> Tensor:
        height, width = self.skin.node_shape
        grid = values.new_full((len(values), height * width, values.shape[-1]), outside)
        grid[:, self._node] = values
        return grid.reshape(len(values), height, width, -1)

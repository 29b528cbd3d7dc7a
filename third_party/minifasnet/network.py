"""The network in torch; see PROVENANCE.md. Its sizes are read off the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

Parameters = Mapping[str, Tensor]
EPS = 1e-5
RESIDUAL = ("conv_3", "conv_4", "conv_5")


def class_logits(pictures: Tensor, p: Parameters) -> Tensor:
    """(N, 3, 80, 80) to (N, 3)."""
    x = unit(pictures, p, "conv1", stride=2, padding=1)
    x = unit(x, p, "conv2_dw", padding=1)
    for shrinking, residual in zip(("conv_23", "conv_34", "conv_45"), RESIDUAL, strict=True):
        x = bottleneck(x, p, shrinking, stride=2)
        number = 0
        while f"{residual}.model.{number}.conv.conv.weight" in p:
            name = f"{residual}.model.{number}"
            x = x + excited(bottleneck(x, p, name), p, f"{name}.se_module")
            number += 1
    x = unit(unit(x, p, "conv_6_sep"), p, "conv_6_dw").flatten(1)
    return normalized(x @ p["linear.weight"].T, p, "bn") @ p["prob.weight"].T


def bottleneck(x: Tensor, p: Parameters, name: str, *, stride: int = 1) -> Tensor:
    """Expand, depthwise, project."""
    x = unit(unit(x, p, f"{name}.conv"), p, f"{name}.conv_dw", stride=stride, padding=1)
    return unit(x, p, f"{name}.project")


def unit(x: Tensor, p: Parameters, name: str, *, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolution, batch normalization and, where there is one, PReLU."""
    weight = p[f"{name}.conv.weight"]
    x = F.conv2d(x, weight, stride=stride, padding=padding, groups=x.shape[1] // weight.shape[1])
    x = normalized(x, p, f"{name}.bn")
    slope = p.get(f"{name}.prelu.weight")
    return x if slope is None else F.prelu(x, slope)


def excited(x: Tensor, p: Parameters, name: str) -> Tensor:
    """Channels weighed by what all places together say, where the block does so."""
    if f"{name}.fc1.weight" not in p:
        return x
    w = normalized(F.conv2d(x.mean(dim=(2, 3), keepdim=True), p[f"{name}.fc1.weight"]), p, f"{name}.bn1")
    w = normalized(F.conv2d(F.relu(w), p[f"{name}.fc2.weight"]), p, f"{name}.bn2")
    return x * torch.sigmoid(w)


def normalized(x: Tensor, p: Parameters, name: str) -> Tensor:
    """Batch normalization with the running statistics."""
    return F.batch_norm(
        x,
        p[f"{name}.running_mean"],
        p[f"{name}.running_var"],
        p[f"{name}.weight"],
        p[f"{name}.bias"],
        eps=EPS,
    )

"""FaceBoxes as a torch module; parameter names are those of the original's weight file."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ANCHORS_PER_CELL = (21, 1, 1)


class ConvBN(nn.Module):
    """Convolution without bias, batch normalization, and rectification unless told otherwise."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, both_signs: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-5)
        self.both_signs = both_signs

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.relu(torch.cat([x, -x], dim=1) if self.both_signs else x)


class Inception(nn.Module):
    """Four branches of 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.branch1x1 = ConvBN(128, 32, 1)
        self.branch1x1_2 = ConvBN(128, 32, 1)
        self.branch3x3_reduce = ConvBN(128, 24, 1)
        self.branch3x3 = ConvBN(24, 32, 3)
        self.branch3x3_reduce_2 = ConvBN(128, 24, 1)
        self.branch3x3_2 = ConvBN(24, 32, 3)
        self.branch3x3_3 = ConvBN(32, 32, 3)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.branch1x1(x),
            self.branch1x1_2(F.avg_pool2d(x, 3, stride=1, padding=1)),
            self.branch3x3(self.branch3x3_reduce(x)),
            self.branch3x3_3(self.branch3x3_2(self.branch3x3_reduce_2(x))),
        ]
        return torch.cat(branches, dim=1)


class FaceBoxes(nn.Module):
    """(B, 3, H, W) -> offsets (B, P, 4) and face scores (B, P), anchors in the order of ``boxes.priors``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBN(3, 24, 7, 4, both_signs=True)
        self.conv2 = ConvBN(48, 64, 5, 2, both_signs=True)
        self.inception1, self.inception2, self.inception3 = Inception(), Inception(), Inception()
        self.conv3_1, self.conv3_2 = ConvBN(128, 128, 1), ConvBN(128, 256, 3, 2)
        self.conv4_1, self.conv4_2 = ConvBN(256, 128, 1), ConvBN(128, 256, 3, 2)
        channels = (128, 256, 256)
        pairs = list(zip(channels, ANCHORS_PER_CELL, strict=True))
        self.loc = nn.ModuleList(nn.Conv2d(c, 4 * a, 3, padding=1) for c, a in pairs)
        self.conf = nn.ModuleList(nn.Conv2d(c, 2 * a, 3, padding=1) for c, a in pairs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.conv1(x), 3, stride=2, padding=1)
        x = F.max_pool2d(self.conv2(x), 3, stride=2, padding=1)
        near = self.inception3(self.inception2(self.inception1(x)))
        middle = self.conv3_2(self.conv3_1(near))
        far = self.conv4_2(self.conv4_1(middle))
        maps = (near, middle, far)
        offsets = torch.cat([_rows(head(m), 4) for head, m in zip(self.loc, maps, strict=True)], dim=1)
        logits = torch.cat([_rows(head(m), 2) for head, m in zip(self.conf, maps, strict=True)], dim=1)
        return offsets, torch.softmax(logits, dim=2)[:, :, 1]


def _rows(x: Tensor, width: int) -> Tensor:
    """(B, A * width, h, w) -> (B, h * w * A, width)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)

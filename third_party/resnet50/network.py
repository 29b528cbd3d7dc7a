"""The network in torch. Input (B, 3, H, W) float32, output (B, 2048) float32."""

from __future__ import annotations

import torch
from torch import nn

from third_party.resnet50.parameters import BLOCKS, EXPANSION, WIDTHS


class Bottleneck(nn.Module):
    """1x1 to the inner width, 3x3 with the stride, 1x1 to four times the width, around a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        wide = EXPANSION * width
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample = (
            nn.Sequential(nn.Conv2d(channels, wide, 1, stride=stride, bias=False), nn.BatchNorm2d(wide))
            if stride != 1 or channels != wide
            else None
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + shortcut)


class ResNet50(nn.Module):
    """The trunk up to the average over the last map; no classifier.

    ``widths`` other than the published ones make a smaller network of the same structure.
    """

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = widths[0]
        for number, (count, width) in enumerate(zip(BLOCKS, widths, strict=True), start=1):
            blocks = []
            for index in range(count):
                blocks.append(Bottleneck(channels, width, stride=2 if index == 0 and number > 1 else 1))
                channels = EXPANSION * width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for number in range(1, len(BLOCKS) + 1):
            x = getattr(self, f"layer{number}")(x)
        return x.mean(dim=(2, 3))

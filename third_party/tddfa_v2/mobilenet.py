"""MobileNet-V1 with 62 outputs as a torch module; parameter names are those of the original's file."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from third_party.tddfa_v2.mobilenet_blocks import BLOCKS, STEM


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, each normalized and rectified."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
        self.bn_dw = nn.BatchNorm2d(inputs)
        self.conv_sep = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn_dw(self.conv_dw(x)))
        return F.relu(self.bn_sep(self.conv_sep(x)))


class MobileNetV1(nn.Module):
    """(B, 3, 120, 120) -> (B, 62). width: 0.5 or 1, the share of the published number of channels."""

    def __init__(self, width: float = 1.0, outputs: int = 62) -> None:
        super().__init__()
        channels = int(STEM * width)
        self.conv1 = nn.Conv2d(3, channels, 3, 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, (full, stride) in BLOCKS.items():
            self.add_module(name, Separable(channels, int(full * width), stride))
            channels = int(full * width)
        self.fc = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return self.fc(x.mean(dim=(2, 3)))

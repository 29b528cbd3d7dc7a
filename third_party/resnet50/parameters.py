"""Names and shapes of the parameters; numpy and torch alike need no more than this to check a file."""

from __future__ import annotations

from typing import Final

BLOCKS: Final = (3, 4, 6, 3)
"""Bottlenecks per stage."""
WIDTHS: Final = (64, 128, 256, 512)
"""Inner channels per stage; a bottleneck gives four times as many."""
EXPANSION: Final = 4
FEATURES: Final = EXPANSION * WIDTHS[-1]


def parameter_shapes(prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The shape of every parameter that inference needs, by its name after ``prefix``."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(conv: str, norm: str, out: int, channels: int, side: int) -> None:
        shapes[f"{prefix}{conv}.weight"] = (out, channels, side, side)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{prefix}{norm}.{part}"] = (out,)

    convolution("conv1", "bn1", WIDTHS[0], 3, 7)
    channels = WIDTHS[0]
    for stage, (count, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), start=1):
        for index in range(count):
            block, wide = f"layer{stage}.{index}.", EXPANSION * width
            convolution(f"{block}conv1", f"{block}bn1", width, channels, 1)
            convolution(f"{block}conv2", f"{block}bn2", width, width, 3)
            convolution(f"{block}conv3", f"{block}bn3", wide, width, 1)
            if index == 0:
                convolution(f"{block}downsample.0", f"{block}downsample.1", wide, channels, 1)
            channels = wide
    return shapes

"""Random parameters for the networks, made so that activations stay of order one; and a convolution written
out in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Parameters = dict[str, NDArray[Any]]
WIDTHS = (64, 128, 256, 512)


def resnet50_parameters(
    rng: np.random.Generator, *, prefix: str = "", widths: tuple[int, int, int, int] = WIDTHS
) -> Parameters:
    """Random parameters under the published names."""
    found: Parameters = {}

    def conv(name: str, norm: str, out: int, channels: int, side: int, gain: float = 1.0) -> None:
        fan_in = channels * side * side
        found[f"{prefix}{name}.weight"] = rng.standard_normal(
            (out, channels, side, side), dtype=np.float32
        ) * np.float32((2 / fan_in) ** 0.5)
        for part, value in {
            "weight": gain * rng.uniform(0.7, 1.3, out),
            "bias": 0.1 * rng.standard_normal(out),
            "running_mean": 0.1 * rng.standard_normal(out),
            "running_var": rng.uniform(0.5, 1.5, out),
        }.items():
            found[f"{prefix}{norm}.{part}"] = np.asarray(value, np.float32)
        found[f"{prefix}{norm}.num_batches_tracked"] = np.asarray(1, np.int64)

    conv("conv1", "bn1", widths[0], 3, 7)
    channels = widths[0]
    for stage, (count, width) in enumerate(zip((3, 4, 6, 3), widths, strict=True), start=1):
        for index in range(count):
            block = f"layer{stage}.{index}."
            conv(f"{block}conv1", f"{block}bn1", width, channels, 1)
            conv(f"{block}conv2", f"{block}bn2", width, width, 3)
            conv(f"{block}conv3", f"{block}bn3", 4 * width, width, 1, gain=0.3)
            if index == 0:
                conv(f"{block}downsample.0", f"{block}downsample.1", 4 * width, channels, 1, gain=0.5)
            channels = 4 * width
    return found


def convolved(x: NDArray[Any], weight: NDArray[Any], *, stride: int, padding: int) -> NDArray[Any]:
    """(C, H, W) by (O, C, k, k), one output pixel at a time, float64."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (padding, padding), (padding, padding)))
    k = weight.shape[-1]
    height, width = ((n - k) // stride + 1 for n in padded.shape[1:])
    out = np.empty((len(weight), height, width))
    for i in range(height):
        for j in range(width):
            patch = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = (weight * patch).sum(axis=(1, 2, 3))
    return out


def resnet50_in_numpy(image: NDArray[Any], parameters: Parameters) -> NDArray[Any]:
    """Features of one image (3, H, W), term by term from the definition, float64."""

    def conv(x: NDArray[Any], name: str, norm: str, stride: int, padding: int) -> NDArray[Any]:
        y = convolved(x, parameters[f"{name}.weight"], stride=stride, padding=padding)
        gain, shift, mean, var = (
            parameters[f"{norm}.{p}"].astype(np.float64)[:, None, None]
            for p in ("weight", "bias", "running_mean", "running_var")
        )
        return gain * (y - mean) / np.sqrt(var + 1e-5) + shift

    x = np.maximum(conv(image, "conv1", "bn1", 2, 3), 0)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    height, width = ((n - 3) // 2 + 1 for n in padded.shape[1:])
    x = np.array(
        [
            [[c[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max() for j in range(width)] for i in range(height)]
            for c in padded
        ]
    )
    for stage, count in enumerate((3, 4, 6, 3), start=1):
        for index in range(count):
            b, stride = f"layer{stage}.{index}.", 2 if index == 0 and stage > 1 else 1
            shortcut = conv(x, f"{b}downsample.0", f"{b}downsample.1", stride, 0) if index == 0 else x
            y = np.maximum(conv(x, f"{b}conv1", f"{b}bn1", 1, 0), 0)
            y = np.maximum(conv(y, f"{b}conv2", f"{b}bn2", stride, 1), 0)
            x = np.maximum(conv(y, f"{b}conv3", f"{b}bn3", 1, 0) + shortcut, 0)
    return np.asarray(x.mean(axis=(1, 2)))

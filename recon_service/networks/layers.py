"""Layers on pictures (N, H, W, C), float32. Channels come last, so that a layer over the channels of every
place is one matrix product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Floats = NDArray[np.float32]


def linear(x: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
    """(..., C) by a weight (D, C) and a bias (D,) to (..., D)."""
    out = x @ weight.T
    return out if bias is None else out + bias


def convolution(
    x: Floats, weight: Floats, bias: Floats | None = None, *, stride: int = 1, pad: int = 0
) -> Floats:
    """(N, H, W, C) by a weight (D, C, k, k), zeros beyond the edge, to (N, H', W', D)."""
    out_channels, channels, k, _ = weight.shape
    if k == 1 and pad == 0:
        return linear(x[:, ::stride, ::stride], weight[:, :, 0, 0], bias)
    windows = np.lib.stride_tricks.sliding_window_view(_padded(x, pad), (k, k), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    n, height, width = windows.shape[:3]
    columns = windows.reshape(n * height * width, channels * k * k)
    out = columns @ weight.reshape(out_channels, -1).T
    out = out.reshape(n, height, width, out_channels)
    return out if bias is None else out + bias


def depthwise(
    x: Floats, weight: Floats, bias: Floats | None = None, *, stride: int = 1, pad: int = 0
) -> Floats:
    """(N, H, W, C), every channel by a kernel of its own (C, 1, k, k).

    A sum over the k² shifts of the picture: for kernels of 3 to 9 places that is faster than windows.
    """
    k = weight.shape[-1]
    padded = _padded(x, pad)
    height = (padded.shape[1] - k) // stride + 1
    width = (padded.shape[2] - k) // stride + 1
    taps = np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0))
    out = np.zeros((len(x), height, width, x.shape[3]), np.float32)
    for i in range(k):
        for j in range(k):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            out += padded[:, rows, columns] * taps[i, j]
    return out if bias is None else out + bias


def layer_norm(x: Floats, scale: Floats, shift: Floats, *, eps: float) -> Floats:
    """Mean 0 and variance 1 over the last axis, then scaled and shifted."""
    centered = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centered).mean(axis=-1, keepdims=True)
    return np.asarray(centered / np.sqrt(variance + np.float32(eps)) * scale + shift, np.float32)


def gelu(x: Floats) -> Floats:
    """X Φ(x), Φ the normal distribution function."""
    return np.asarray(np.float32(0.5) * x * (np.float32(1) + erf(x * np.float32(np.sqrt(0.5)))), np.float32)


def prelu(x: Floats, slope: Floats) -> Floats:
    """X where positive, else slope x, a slope per channel (C,)."""
    return np.asarray(np.where(x > 0, x, x * slope), np.float32)


def softmax(x: Floats, axis: int = -1) -> Floats:
    """Exponentials that sum to one."""
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=axis, keepdims=True), np.float32)


def unit(x: Floats, axis: int = -1, *, eps: float = 1e-12) -> Floats:
    """Scaled to length one."""
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=axis, keepdims=True), eps), np.float32)


def _padded(x: Floats, pad: int) -> Floats:
    return np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))) if pad else x

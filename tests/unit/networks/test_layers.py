"""Each layer against its definition, place by place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from recon_service.networks import layers

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("k", "stride", "pad"), [(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (4, 4, 0), (2, 2, 0)]
)
def test_convolution_is_the_sum_over_the_window(k: int, stride: int, pad: int) -> None:
    x, weight, bias = normal(2, 8, 12, 3), normal(5, 3, k, k), normal(5)
    out = layers.convolution(x, weight, bias, stride=stride, pad=pad)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    assert out.shape == (2, (8 + 2 * pad - k) // stride + 1, (12 + 2 * pad - k) // stride + 1, 5)
    for n, i, j in ((0, 0, 0), (1, 1, 2), (1, out.shape[1] - 1, out.shape[2] - 1)):
        window = padded[n, i * stride : i * stride + k, j * stride : j * stride + k]
        expected = np.einsum("ijc,dcij->d", window, weight) + bias
        np.testing.assert_allclose(out[n, i, j], expected, atol=1e-4)


@pytest.mark.parametrize(("k", "stride", "pad"), [(3, 1, 1), (5, 1, 2), (3, 2, 1), (9, 1, 4), (5, 1, 0)])
def test_depthwise_is_a_convolution_with_one_kernel_per_channel(k: int, stride: int, pad: int) -> None:
    x, weight, bias = normal(2, 9, 7, 4), normal(4, 1, k, k), normal(4)
    full = np.zeros((4, 4, k, k), np.float32)
    full[range(4), range(4)] = weight[:, 0]
    np.testing.assert_allclose(
        layers.depthwise(x, weight, bias, stride=stride, pad=pad),
        layers.convolution(x, full, bias, stride=stride, pad=pad),
        atol=1e-4,
    )


def test_layer_norm_leaves_mean_zero_and_variance_one() -> None:
    out = layers.layer_norm(3 + 5 * normal(4, 64), np.ones(64, np.float32), np.zeros(64, np.float32), eps=0.0)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(out.var(axis=1), 1, atol=1e-5)


def test_gelu_softmax_prelu_and_unit_are_their_formulas() -> None:
    x = normal(3, 7)
    np.testing.assert_allclose(layers.gelu(x), x * norm.cdf(x), atol=1e-6)
    np.testing.assert_allclose(layers.softmax(x + 1000).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(layers.softmax(x), np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(
        layers.prelu(np.array([[-2.0, 3.0]], np.float32), np.array([0.5, 0.5], np.float32)), [[-1.0, 3.0]]
    )
    np.testing.assert_allclose(np.linalg.norm(layers.unit(x), axis=1), 1, atol=1e-6)
    assert not layers.unit(np.zeros((1, 3), np.float32)).any()

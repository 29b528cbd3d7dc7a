"""What every network for appearance has to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue

SIDE = 112
"""Pixels of an aligned picture, as all networks of this family want them."""

Aligned = NDArray[np.uint8]
"""(112, 112, 3) RGB, the five reference points at their places (``alignment/five_points.py``)."""


class FaceEmbedder(Protocol):
    """Aligned pictures to unit vectors. Thread-safe.

    name, version: which network and which parameters (the head of their SHA-256): vectors of different ones
    cannot be compared. dimension: of the vectors.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def dimension(self) -> int: ...

    def embed(self, pictures: Sequence[Aligned]) -> Array:
        """(N, D) vectors of length one, float64; of each picture and its mirror image together, so that a
        picture and its mirror image have the same vector.
        """
        ...


def batch(pictures: Sequence[Aligned]) -> NDArray[np.float32]:
    """(2 N, 112, 112, 3) in [-1, 1]: the pictures, then their mirror images. Raises InvalidValue."""
    if not pictures or any(p.shape != (SIDE, SIDE, 3) or p.dtype != np.uint8 for p in pictures):
        raise InvalidValue(f"an embedder takes one or more aligned RGB pictures of {SIDE} x {SIDE} pixels")
    stacked = np.stack(pictures).astype(np.float32) / np.float32(127.5) - np.float32(1)
    return np.concatenate([stacked, stacked[:, :, ::-1]])


def mirror_averaged(vectors: NDArray[np.floating]) -> Array:
    """(N, D) unit vectors from (2 N, D) as ``batch`` orders them."""
    summed = np.sum(np.split(np.asarray(vectors, np.float64), 2), axis=0)
    lengths = np.linalg.norm(summed, axis=1, keepdims=True)
    if not np.isfinite(summed).all() or (lengths <= 0).any():
        raise InvalidValue(
            "the network gave no usable vector", next_step="Check the model file: recon weights verify."
        )
    return np.asarray(summed / lengths)

"""Checks and small conveniences for the arrays inside frozen values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.errors import InvalidValue

Array = NDArray[np.float64]
AnyArray = NDArray[Any]


def frozen(array: AnyArray) -> AnyArray:
    """A read-only view: a value that cannot change under its owner."""
    view = array.view()
    view.flags.writeable = False
    return view


def finite(array: AnyArray, name: str) -> AnyArray:
    """The array itself, or InvalidValue if it holds NaN or infinity."""
    if not np.isfinite(array).all():
        raise InvalidValue(
            f"{name} holds values that are not finite", next_step="Remove NaN and infinite values."
        )
    return array


def shaped(array: AnyArray, name: str, *shape: int | None) -> AnyArray:
    """The array itself, or InvalidValue if its shape is not ``shape`` (None: any length)."""
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InvalidValue(f"{name} has the shape {array.shape}, wanted ({wanted})")
    return array


def crossed(a: Array, b: Array) -> Array:
    """The cross products of (..., 3) and (..., 3), broadcast. As np.cross, without its checks, which cost
    more than the arithmetic on the small arrays of a fit.
    """
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out

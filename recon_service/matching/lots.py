"""Which matches are kept where there are more than enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lots(round_: int, pair: tuple[int, int], nodes: int) -> NDArray[np.float32]:
    """(nodes,) in [0, 1), one for each node of the skin; round_ from 0. Whoever draws gets the same.

    Every node has its own: a rounding error that lets one more match in changes one of those kept, not all.
    """
    return np.random.default_rng((round_, *pair)).random(nodes, dtype=np.float32)

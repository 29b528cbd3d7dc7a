"""Which part of a head's mesh is skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def largest_part(triangles: NDArray[np.int64], vertices: int) -> NDArray[np.int64]:
    """The triangles (F', 3) of the connected part with most of them: eyeballs and teeth are left out."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(vertices, vertices))
    _, label = connected_components(graph, directed=False)
    of_triangle = label[triangles[:, 0]]
    return np.asarray(triangles[of_triangle == np.bincount(of_triangle).argmax()])

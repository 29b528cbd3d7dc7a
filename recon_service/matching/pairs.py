"""Which pictures are matched with each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def pairs_to_match(turns: Sequence[tuple[float, float]], *, neighbors: bool = True) -> list[tuple[int, int]]:
    """Pairs of pictures, by (yaw, pitch) of the heads in degrees.

    The most frontal picture shows most of what any other one shows: it is matched with all others. With
    ``neighbors``, each is matched with the next one in yaw too: they share the side of the face that the
    frontal one sees at a slant. The choice does not depend on the order of the pictures.
    """
    count = len(turns)
    front = min(range(count), key=lambda k: (abs(turns[k][0]) + abs(turns[k][1]), turns[k]))
    order = sorted(range(count), key=lambda k: turns[k])
    star = [(front, k) for k in order if k != front]
    if not neighbors:
        return star
    ring = [(a, b) for a, b in pairwise(order) if front not in (a, b)]
    return star + ring

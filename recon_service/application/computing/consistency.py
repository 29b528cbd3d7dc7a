"""Are the selfies of an enrollment pictures of one person?

Two looks at that. A network for appearance, where there is one, says of each two pictures whether one person
is likelier on them than two. The skin says it without any network: unrolled onto one fitted face, two
pictures of one person show the same skin at the same place, two people do not. Pictures are linked where
they agree; whoever is not linked with the rest does not belong to it. Linking needs no picture to agree with
every other one, which a head turned to the left and one turned to the right cannot.

The limits were chosen on one half of the people and tried on the other (docs/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import cv2
import numpy as np

from recon_service.comparison.appearance import AppearanceMaps, compare_appearance
from recon_service.domain.appearance import Appearance
from recon_service.domain.errors import ImageRejected
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.matching import SkinMatching, pairs_to_match
from recon_service.matching.flow import motions
from recon_service.matching.texture import SkinTexture
from recon_service.matching.view import MIDDLE, FaceView

STRANGER: Final = "stranger-in-set"
NOT_ONE_PERSON: Final = "skin-does-not-match"
LEAST_LEFT: Final = 3
"""So many selfies must agree before another one is left out on their word (docs/adr/0105)."""

MIN_APPEARANCE: Final = 0.0
"""Log-likelihood ratio from which two pictures count as of one person."""
MIN_SHARE: Final = (0.25, 0.40)
"""Of the skin that two pictures share, so much must lie in the same place: where it is hardly resolved, and
where it is fully so. A blurred skin agrees less with itself, and less with others by chance.
"""
MIN_RESOLVED: Final = 0.1
"""Share of the working pixels that both pictures must really have: smaller faces are not judged by skin."""
EDGE: Final = 7
STEP: Final = 2
MIN_TEXELS: Final = 150
MAX_DISAGREEMENT: Final = 0.5
MIN_LIKENESS: Final = 0.6
MAX_MOTION: Final = 10.0
"""Texels."""

Link = Callable[[int, int], bool | None]
"""Do these two pictures agree? None: cannot be told."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """together: numbers of the largest group of selfies that agree, from 0. apart: all others."""

    together: tuple[int, ...]
    apart: tuple[int, ...] = ()

    @property
    def majority(self) -> bool:
        """Whether the group may speak for the set."""
        return len(self.together) > len(self.apart) and len(self.together) > 1

    @property
    def mendable(self) -> bool:
        """Whether the others can be left out."""
        return self.majority and len(self.together) >= LEAST_LEFT

    def doubt(self) -> tuple[str, str]:
        """Code and hint for the person, where some are apart."""
        if not self.majority:
            return (
                NOT_ONE_PERSON,
                "The selfies do not show the same face: take all of them of yourself, in good light.",
            )
        numbers = " and ".join(str(k + 1) for k in self.apart)
        which = f"Selfie {numbers} does" if len(self.apart) == 1 else f"Selfies {numbers} do"
        return STRANGER, f"{which} not show the same person as the others: take a new picture of yourself."


class StrangerInSet(ImageRejected):
    """A selfie that the others of its set do not agree with."""

    code = STRANGER
    title = "The selfie shows somebody else"

    @classmethod
    def of(cls, found: Grouping) -> StrangerInSet:
        return cls("The selfie does not show the same face as the others.", next_step=found.doubt()[1])


def grouping(count: int, link: Link, *, first: Sequence[tuple[int, int]] = ()) -> Grouping:
    """Group pictures by which agree. first: pairs to ask about before all others; pairs of one group are not
    asked about. A picture of which nothing can be told belongs to the largest group.
    """
    group = list(range(count))
    told = [False] * count
    unknown: list[tuple[int, int]] = []
    for a, b in dict.fromkeys([*first, *combinations(range(count), 2)]):
        if group[a] == group[b]:
            continue
        agree = link(a, b)
        if agree is None:
            unknown.append((a, b))
            continue
        told[a] = told[b] = True
        if agree:
            old, new = max(group[a], group[b]), min(group[a], group[b])
            group = [new if g == old else g for g in group]
    judged = [k for k in range(count) if told[k]] or list(range(count))
    largest = max((group[k] for k in judged), key=lambda g: (sum(group[k] == g for k in judged), -g))
    together = tuple(k for k in range(count) if group[k] == largest or not told[k])
    return Grouping(together, tuple(k for k in range(count) if k not in together))


def by_appearance(seen: Sequence[Appearance | None], maps: AppearanceMaps) -> Grouping:
    """Group pictures by what the network saw on each. Pictures in different light, or of a network that no
    map was learned for, are not judged.
    """

    def link(a: int, b: int) -> bool | None:
        one, other = seen[a], seen[b]
        if one is None or other is None or one.light is not other.light:
            return None
        ratio = compare_appearance(one, other, maps)
        return None if ratio is None else ratio.llr >= MIN_APPEARANCE

    return grouping(len(seen), link)


def by_skin(
    fit: Fit, images: Sequence[Image], matcher: SkinMatching, views: Sequence[FaceView] = ()
) -> Grouping:
    """Group pictures by the skin that they show under the fit of all of them. Faces of few pixels are not
    judged. views: the pictures as they were cut out for matching, where they were.
    """
    views = views or matcher.views(images, fit)
    textures = matcher.textures(views, fit)

    def link(a: int, b: int) -> bool | None:
        resolved = min(views[a].resolved, views[b].resolved)
        if resolved < MIN_RESOLVED:
            return None
        share = agreeing_share(textures[a], textures[b])
        return None if share is None else share >= MIN_SHARE[0] + resolved * (MIN_SHARE[1] - MIN_SHARE[0])

    turns = [capture.pose.angles()[:2] for capture in fit.captures]
    return grouping(len(images), link, first=pairs_to_match(turns))


def agreeing_share(one: SkinTexture, other: SkinTexture) -> float | None:
    """Of the skin that both show, the share that lies in the same place and looks alike, 0 to 1; None where
    they share too little.
    """
    # The edge of what a picture shows is its worst part; outside of the texture nothing is seen.
    inner = cv2.erode(
        one.mask & other.mask,
        np.ones((EDGE, EDGE), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    rows, columns = np.nonzero(inner[::STEP, ::STEP])
    if len(rows) < MIN_TEXELS:
        return None
    both = one.mask & other.mask
    left, top, width, height = cv2.boundingRect(both)
    box = slice(top, top + height), slice(left, left + width)
    texels = np.stack([columns, rows], axis=1) * STEP - np.array([left, top])
    first, second = (np.where(both[box], t.pixels[box], MIDDLE).astype(np.uint8) for t in (one, other))
    moved = motions(first, second, texels, outside=MIDDLE)
    agree = (
        (moved.disagreement < MAX_DISAGREEMENT)
        & (moved.likeness > MIN_LIKENESS)
        & (np.linalg.norm(moved.motion, axis=1) < MAX_MOTION)
    )
    return float(agree.mean())

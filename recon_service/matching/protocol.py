"""What finds surface matches: one picture set at a time on a processor, or many at once on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recon_service.domain.evidence import SurfaceMatches
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.matching.texture import SkinTexture
from recon_service.matching.view import FaceView


class SkinMatching(Protocol):
    """Finds surface matches between the pictures of one person, round by round. Safe to share by threads."""

    @property
    def rounds(self) -> int:
        """How often pictures are matched and fitted, from coarse to fine."""

    def views(self, images: Sequence[Image], fit: Fit) -> list[FaceView]:
        """The pictures at working size, cut out where the fit has the face."""

    def matches(
        self, views: Sequence[FaceView], fit: Fit, pairs: Sequence[tuple[int, int]], *, round_: int = -1
    ) -> list[SurfaceMatches]:
        """Matches of the given pairs of views under the current fit; pairs with too few are left out."""

    def textures(self, views: Sequence[FaceView], fit: Fit) -> list[SkinTexture]:
        """Every view unrolled onto the skin of the fit, at the texels in which skins are compared."""


@dataclass(frozen=True, slots=True)
class PictureSet:
    """The pictures of one person and what is to be matched in them: the arguments of
    ``SkinMatching.matches``.
    """

    views: Sequence[FaceView]
    fit: Fit
    pairs: Sequence[tuple[int, int]]


class SkinMatchingOfMany(SkinMatching, Protocol):
    """The same for the picture sets of many people in one call."""

    def matches_of(self, sets: Sequence[PictureSet], *, round_: int = -1) -> list[list[SurfaceMatches]]:
        """What ``matches`` finds for each set; it does not depend on which sets share the call."""

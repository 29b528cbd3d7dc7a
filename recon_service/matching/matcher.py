"""Dense matches between pairs of pictures.

Every picture is unrolled onto the skin of the current fit, so that what remains between two of them is the
error of the fit: a few texels, which optical flow finds. Where both directions of the flow agree and the skin
has texture, there is a match: a point of the surface by its pixel in one picture, and where the other shows
it. Round by round the fit gets better and the texels smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.evidence import SurfaceMatches
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.morphable_model import MorphableModel
from recon_service.matching.flow import CLOSE, NEIGHBORHOOD, motions
from recon_service.matching.lots import lots
from recon_service.matching.neighborhood import blurred_half
from recon_service.matching.texture import SkinTexture
from recon_service.matching.unrolled import UnrolledSkin
from recon_service.matching.view import MIDDLE, FaceView


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How matches are found. Lengths in texels.

    texels_mm: size of a texel on the skin, for each round. compared_mm: where skins are compared. stride:
    between the patches of the flow, where faces are fully resolved; else they lie CLOSE. face_px: height
    of the face at which pictures are unrolled. largest_scale: a small face is enlarged at most so much.
    blur: neighborhood in which contrast is evened. min_facing: cosine between normal and line of sight.
    erosion: matches keep this far from the edge of what both pictures show. max_disagreement: between the
    flow forth and back. min_likeness: correlation of the skin around both ends of a match. max_motion:
    longest motion. texture_share: share of the least textured skin that is left out. samples: matches
    kept per pair. sd: standard deviation of a match. effective_matches: independent matches of a pair.
    """

    texels_mm: tuple[float, ...] = (1.6, 1.0, 0.65)
    compared_mm: float = 1.2
    stride: int = 6
    face_px: float = 300.0
    largest_scale: float = 2.0
    blur: float = 5.0
    min_facing: float = 0.2
    erosion: int = 7
    max_disagreement: float = 0.5
    min_likeness: float = 0.6
    max_motion: float = 14.0
    texture_share: float = 0.15
    samples: int = 400
    min_matches: int = 50
    sd: float = 0.5
    effective_matches: float = 60.0


class SurfaceMatcher:
    """Finds surface matches between the pictures of one person. Immutable, so safe to share by threads."""

    def __init__(self, model: MorphableModel, options: MatchOptions | None = None) -> None:
        self._options = options or MatchOptions()
        sizes = {*self._options.texels_mm, self._options.compared_mm}
        self._skins = {size: UnrolledSkin.of(model, size) for size in sizes}

    @property
    def rounds(self) -> int:
        return len(self._options.texels_mm)

    def skin(self, texel_mm: float) -> UnrolledSkin:
        """The unrolled skin at one of the sizes of the options."""
        return self._skins[texel_mm]

    def views(self, images: Sequence[Image], fit: Fit) -> list[FaceView]:
        """The pictures at working size, cut out where the fit has the face."""
        skin = self._skins[max(self._skins)]
        neutral = skin.neutral(fit.posterior.mean)
        views = []
        for image, capture in zip(images, fit.captures, strict=True):
            points = capture.camera.project(capture.pose.apply(skin.posed(neutral, capture.expression)))
            views.append(
                FaceView.of(
                    image, points, face_px=self._options.face_px, largest_scale=self._options.largest_scale
                )
            )
        return views

    def textures(self, views: Sequence[FaceView], fit: Fit) -> list[SkinTexture]:
        """Every view unrolled onto the skin of the fit, at the texels in which skins are compared."""
        return self.unrolled(views, fit, self._options.compared_mm)

    def unrolled(self, views: Sequence[FaceView], fit: Fit, texel_mm: float) -> list[SkinTexture]:
        """Every view unrolled onto the skin of the fit, at texels of one of the sizes of the options."""
        o, skin = self._options, self._skins[texel_mm]
        neutral = skin.neutral(fit.posterior.mean)
        return [
            SkinTexture.of(view, fitted, skin, neutral, min_facing=o.min_facing, blur=o.blur)
            for view, fitted in zip(views, fit.captures, strict=True)
        ]

    def matches(
        self, views: Sequence[FaceView], fit: Fit, pairs: Sequence[tuple[int, int]], *, round_: int = -1
    ) -> list[SurfaceMatches]:
        """Matches of the given pairs of views under the current fit; pairs with too few are left out."""
        round_ %= self.rounds
        textures = self.unrolled(views, fit, self._options.texels_mm[round_])
        found = (self._pair(views, textures, pair, round_) for pair in pairs)
        return [matches for matches in found if matches is not None]

    def _pair(
        self,
        views: Sequence[FaceView],
        textures: Sequence[SkinTexture],
        pair: tuple[int, int],
        round_: int,
    ) -> SurfaceMatches | None:
        o = self._options
        texel_mm = o.texels_mm[round_]
        skin = self._skins[texel_mm]
        (i, j), (first, second) = pair, (textures[pair[0]], textures[pair[1]])
        both = first.mask & second.mask
        box = _box(both)
        if box is None:
            return None
        top_left = np.array([box[1].start, box[0].start])
        mask = both[box]
        one, other = (np.where(mask, t.pixels[box], MIDDLE).astype(np.uint8) for t in (first, second))
        nodes = np.flatnonzero(first.seen & second.seen)
        rows, columns = skin.texels
        texels = np.stack([columns, rows], axis=1)[nodes] - top_left
        inner = cv2.erode(
            mask, np.ones((o.erosion, o.erosion), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        within = ((texels >= 0) & (texels < [mask.shape[1], mask.shape[0]])).all(axis=1)
        nodes, texels = nodes[within], texels[within]
        within = _at(inner, texels)
        nodes, texels = nodes[within], texels[within]
        if len(nodes) < o.min_matches:
            return None
        # Skin that was enlarged is blurred and noisy: there fewer patches cost accuracy (docs/adr/0168).
        resolved = min(views[i].resolved, views[j].resolved)
        stride = o.stride if resolved == 1.0 else CLOSE
        moved = motions(one, other, texels, outside=MIDDLE, stride=stride)
        move = moved.motion
        textured = _texture(one)[texels[:, 1] // 2, texels[:, 0] // 2]
        good = (
            (moved.disagreement < o.max_disagreement)
            & (moved.likeness > o.min_likeness)
            & (np.linalg.norm(move, axis=1) < o.max_motion)
            & (textured > np.quantile(textured, o.texture_share))
            & _at(inner, np.round(texels + move).astype(np.int64))
        )
        chosen = np.flatnonzero(good)
        if len(chosen) < o.min_matches:
            return None
        drawn = lots(round_, pair, len(skin.rows))[nodes[chosen]]
        chosen = chosen[np.argsort(drawn)[: o.samples]]
        end = (texels[chosen] + move[chosen] + top_left).astype(np.float32)
        target = cv2.remap(second.pictured, end[None, :, 0], end[None, :, 1], cv2.INTER_LINEAR)[0]
        kept = nodes[chosen]
        return SurfaceMatches(
            first=i,
            second=j,
            triangles=skin.triangles[kept],
            barycentric=skin.barycentric[kept],
            first_pixels=first.nodes[kept],
            second_pixels=views[j].to_picture(target.astype(np.float64)),
            sd=o.sd * texel_mm / min(o.texels_mm) / views[j].mean_scale,
            effective_matches=o.effective_matches * resolved,
        )


def _box(mask: NDArray[np.uint8]) -> tuple[slice, slice] | None:
    """The rows and columns that a mask covers."""
    x, y, width, height = cv2.boundingRect(mask)
    return (slice(y, y + height), slice(x, x + width)) if width and height else None


def _at(mask: NDArray[Any], texels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether texels (N, 2) (x, y), also outside ones, lie on the mask."""
    limit = np.array([mask.shape[1] - 1, mask.shape[0] - 1])
    clipped = np.clip(texels, 0, limit)
    return np.asarray((mask[clipped[:, 1], clipped[:, 0]] > 0) & (clipped == texels).all(axis=1))


def _texture(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean square of the slopes around every second texel."""
    across, down = cv2.Sobel(pixels, cv2.CV_32F, 1, 0), cv2.Sobel(pixels, cv2.CV_32F, 0, 1)
    return blurred_half(np.asarray(across * across + down * down, dtype=np.float32), NEIGHBORHOOD)

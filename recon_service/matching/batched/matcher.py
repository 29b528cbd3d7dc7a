"""Dense matches between the pictures of many people at once, on a graphics processor where there is one.

The stages are those of ``recon_service.matching.matcher``, each as one batch over all pictures or all pairs.
Rays are cast once, when the skin is unrolled; after that a texel is visible where it faces the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recon_service.domain.evidence import SurfaceMatches
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.morphable_model import MorphableModel
from recon_service.matching.batched.device import TorchDevice, torch_device
from recon_service.matching.batched.flow import Motions, motions_of, textured
from recon_service.matching.batched.images import eroded, sampled
from recon_service.matching.batched.skin import DeviceSkin
from recon_service.matching.batched.texture import SkinTextures
from recon_service.matching.lots import lots
from recon_service.matching.matcher import MatchOptions, SurfaceMatcher
from recon_service.matching.protocol import PictureSet
from recon_service.matching.texture import SkinTexture
from recon_service.matching.view import FaceView

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """How much is done at once. pairs: pairs of pictures. patches: patches of the flow.

    On a processor few, so that a step stays in its cache; on a graphics processor many, to fill it. 256 pairs
    take about 3 GB.
    """

    pairs: int
    patches: int

    @classmethod
    def suited_to(cls, device: torch.device) -> BatchSizes:
        return cls(4, 4096) if device.type == "cpu" else cls(256, 1 << 20)


class BatchedSurfaceMatcher:
    """Finds surface matches for many picture sets in one call. Immutable, so safe to share by threads."""

    def __init__(
        self,
        model: MorphableModel,
        options: MatchOptions | None = None,
        *,
        device: TorchDevice = TorchDevice.AUTO,
        sizes: BatchSizes | None = None,
    ) -> None:
        """Raises InvalidValue for a device that is not there."""
        self._options = options or MatchOptions()
        self._device = torch_device(device)
        self._sizes = sizes or BatchSizes.suited_to(self._device)
        self._single = SurfaceMatcher(model, self._options)
        self._skins = {
            size: DeviceSkin(self._single.skin(size), self._device) for size in set(self._options.texels_mm)
        }

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def rounds(self) -> int:
        return self._single.rounds

    def views(self, images: Sequence[Image], fit: Fit) -> list[FaceView]:
        """As ``SurfaceMatcher.views``."""
        return self._single.views(images, fit)

    def matches(
        self, views: Sequence[FaceView], fit: Fit, pairs: Sequence[tuple[int, int]], *, round_: int = -1
    ) -> list[SurfaceMatches]:
        """As ``SurfaceMatcher.matches``."""
        return self.matches_of([PictureSet(views, fit, pairs)], round_=round_)[0]

    @torch.inference_mode()
    def matches_of(self, sets: Sequence[PictureSet], *, round_: int = -1) -> list[list[SurfaceMatches]]:
        """What ``matches`` finds for each set; it does not depend on which sets share the call."""
        found: list[list[SurfaceMatches]] = [[] for _ in sets]
        wanted = [(owner, pair) for owner, one in enumerate(sets) for pair in one.pairs]
        if not wanted:
            return found
        skin = self._skins[self._options.texels_mm[round_]]
        textures = self.unrolled(sets, round_=round_)
        begins = list(accumulate((len(one.views) for one in sets), initial=0))
        ends = np.array([(begins[owner] + i, begins[owner] + j) for owner, (i, j) in wanted])
        for part in np.array_split(np.arange(len(wanted)), -(-len(wanted) // self._sizes.pairs)):
            drawn = np.stack([lots(round_ % self.rounds, wanted[k][1], len(skin.texels)) for k in part])
            chosen = self._matched(textures, skin, ends[part], drawn)
            for k, selection in zip(part, chosen, strict=True):
                if selection is not None:
                    owner, pair = wanted[k]
                    found[owner].append(self._evidence(sets[owner].views, pair, selection, round_))
        return found

    def textures(self, views: Sequence[FaceView], fit: Fit) -> list[SkinTexture]:
        """As ``SurfaceMatcher.textures``, by the processor: for a look at a few pictures."""
        return self._single.textures(views, fit)

    @torch.inference_mode()
    def unrolled(self, sets: Sequence[PictureSet], *, round_: int = -1) -> SkinTextures:
        """Every view of every set unrolled, one set after the other."""
        o = self._options
        identities = np.stack([one.fit.posterior.mean for one in sets for _ in one.views])
        return SkinTextures.of(
            [view for one in sets for view in one.views],
            [capture for one in sets for _, capture in zip(one.views, one.fit.captures, strict=True)],
            torch.from_numpy(identities.astype(np.float32)).to(self._device),
            self._skins[o.texels_mm[round_]],
            min_facing=o.min_facing,
            blur=o.blur,
        )

    def _matched(
        self, textures: SkinTextures, skin: DeviceSkin, ends: Integers, drawn: NDArray[np.float32]
    ) -> list[_Selection | None]:
        """What is kept of each pair of textures (P, 2), by the lots of their nodes (P, N): the lowest."""
        o = self._options
        first, second = torch.from_numpy(ends).to(self._device).unbind(1)
        both = textures.mask[first] & textures.mask[second]
        inner = eroded(both, o.erosion)
        columns, rows = skin.texels.unbind(1)
        usable = textures.seen[first] & textures.seen[second] & inner[:, rows, columns]
        one, other = textures.pixels[first] * both, textures.pixels[second] * both
        moved = motions_of(one, other, skin.texels, patches_at_once=self._sizes.patches)
        good = usable & self._good(moved, usable, textured(one)[:, rows, columns], inner, skin.texels)
        lot = torch.where(good, torch.from_numpy(drawn).to(self._device), torch.inf)
        lowest, nodes = lot.topk(min(o.samples, lot.shape[1]), dim=1, largest=False)
        landed = skin.texels + moved.motion
        landed = landed.gather(1, nodes[..., None].expand(-1, -1, 2))
        target = sampled(textures.pictured[second], landed).transpose(1, 2)
        origin = textures.nodes[first].gather(1, nodes[..., None].expand(-1, -1, 2))
        enough = (usable.sum(1) >= o.min_matches) & (good.sum(1) >= o.min_matches)
        packed = zip(*(t.cpu().numpy() for t in (enough, lowest < 1, nodes, origin, target)), strict=True)
        return [_Selection(n[k], a[k], b[k]) if right else None for right, k, n, a, b in packed]

    def _good(self, moved: Motions, usable: Tensor, texture: Tensor, inner: Tensor, texels: Tensor) -> Tensor:
        """(P, N) bool: matches to believe, of those at usable nodes."""
        o = self._options
        height, width = inner.shape[1:]
        column, row = (texels + moved.motion).round().long().unbind(-1)
        on_grid = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        return (
            (moved.disagreement < o.max_disagreement)
            & (moved.likeness > o.min_likeness)
            & (torch.linalg.norm(moved.motion, dim=-1) < o.max_motion)
            & (texture > _quantile(texture, usable, o.texture_share)[:, None])
            & on_grid
            & inner.flatten(1).gather(1, place)
        )

    def _evidence(
        self, views: Sequence[FaceView], pair: tuple[int, int], kept: _Selection, round_: int
    ) -> SurfaceMatches:
        o, (i, j) = self._options, pair
        size = o.texels_mm[round_]
        skin = self._skins[size].skin
        return SurfaceMatches(
            first=i,
            second=j,
            triangles=skin.triangles[kept.nodes],
            barycentric=skin.barycentric[kept.nodes],
            first_pixels=views[i].to_picture(kept.origin.astype(np.float64)),
            second_pixels=views[j].to_picture(kept.target.astype(np.float64)),
            sd=o.sd * size / min(o.texels_mm) / views[j].mean_scale,
            effective_matches=o.effective_matches * min(views[i].resolved, views[j].resolved),
        )


@dataclass(frozen=True, slots=True)
class _Selection:
    """nodes: (n,) of the skin. origin, target: (n, 2) in the working pixels of both views."""

    nodes: Integers
    origin: NDArray[np.float32]
    target: NDArray[np.float32]


def _quantile(values: Tensor, counted: Tensor, share: float) -> Tensor:
    """(P,) of values (P, N) where counted (P, N), between ranks by the straight line."""
    ordered = torch.where(counted, values, torch.inf).sort(dim=1).values
    rank = share * (counted.sum(1, keepdim=True) - 1).clamp_min(0)
    below = ordered.gather(1, rank.long())
    above = ordered.gather(1, rank.ceil().long())
    return torch.where(rank > rank.floor(), below + (above - below) * (rank - rank.floor()), below)[:, 0]

"""Dense inverse-search optical flow of many pairs of pictures at once (Kroeger, Timofte, Dai and Van Gool,
'Fast Optical Flow using Dense Inverse Search', ECCV 2016, sections 2.1 to 2.3; no variational refinement).

From the coarsest scale to the finest, small overlapping patches T of the first picture are looked for in the
second, I, each from where the coarser scale put it. Inverse search linearizes the patch and not the picture,
so that gradient and Hessian are made once: with the slopes S = dT/dx (64, 2),

    H = S'S,   d(u) = I(x + u) - T(x),   u <- u - inv(H) S'd(u),

as long as the sum of squares of d falls. Patch and window are freed from their means, so S is too. Once all
have arrived, a patch tries the motions of its neighbors, in place of the scan across the picture by which a
program for one processor hands them on (docs/adr/0110). Then every pixel takes the mean of the motions of the
patches that cover it, each weighted by 1 / max(1, |d|) there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import torch
from torch import Tensor
from torch.nn import functional

from recon_service.matching.batched.images import sampled, slopes, texels_of

PATCH = 8
STRIDE = 4
"""Patches begin STRIDE before the border, so that every pixel lies on (PATCH / STRIDE)² = 4 of them."""
STEPS = 16
COMPACT_EVERY = 2
"""Patches that have arrived are put aside every second step: most take few of the steps."""
ARRIVED = 1e-2
"""A step shorter than this, in pixels of the scale, is the last."""
MARGIN = 16
"""A patch may leave the picture by so many pixels."""
WORTH_ANOTHER_TRY = 0.9
"""A patch starts again from a neighbor's motion whose sum of squares is below this share of its own."""
TEXTURELESS = 1.0
"""Smallest determinant of the Hessian (gray levels to the fourth); patches below stay where they are."""


def inverse_search(first: Tensor, second: Tensor, *, patches_at_once: int) -> Tensor:
    """(B, H, W, 2) motion in pixels (x, y) of each pixel of first (B, H, W), gray levels, to second.

    patches_at_once: bounds memory, and keeps what a step touches in the cache of a processor.
    """
    ones, others = [first], [second]
    for _ in range(_coarsest(first.shape)):
        ones.append(_halved(ones[-1]))
        others.append(_halved(others[-1]))
    flow = None
    for one, other in zip(reversed(ones), reversed(others), strict=True):
        flow = _at_scale(one, other, flow, patches_at_once)
    assert flow is not None
    return flow


def _coarsest(shape: torch.Size) -> int:
    """The scale at which the picture is about four to six patches wide."""
    return max(round(log2(shape[-1] / (4.5 * PATCH))), 0)


def _halved(images: Tensor) -> Tensor:
    """Mean of two by two pixels; an odd border is doubled."""
    return functional.avg_pool2d(_padded(images, (0, images.shape[2] % 2, 0, images.shape[1] % 2)), 2)


def _padded(images: Tensor, margins: tuple[int, int, int, int]) -> Tensor:
    return functional.pad(images[:, None], margins, mode="replicate")[:, 0]


def _at_scale(one: Tensor, other: Tensor, coarser: Tensor | None, patches_at_once: int) -> Tensor:
    count, height, width = one.shape
    down, across = -(-height // STRIDE) + 1, -(-width // STRIDE) + 1
    beyond = (STRIDE, across * STRIDE - width, STRIDE, down * STRIDE - height)
    begin = texels_of(torch.Size((down, across)), one) * STRIDE - STRIDE
    if coarser is None:
        start = one.new_zeros((count, down, across, 2))
    else:
        # Pixel k of a halved picture is at 2k + 1/2 of the whole one.
        middle = (begin + (PATCH - 1) / 2 - 0.5) / 2
        start = 2.0 * sampled(coarser.permute(0, 3, 1, 2), middle.expand(count, -1, -1, -1))
        start = start.permute(0, 2, 3, 1)
    templates = _windows(_padded(one, beyond), down, across)
    moves = _descended(
        templates,
        [_windows(_padded(s, beyond), down, across) for s in slopes(one)],
        other,
        begin,
        start,
        patches_at_once,
    )
    return _densified(one, other, moves)


def _windows(framed: Tensor, down: int, across: int) -> Tensor:
    """(B, down, across, PATCH, PATCH): the patches, a view."""
    return framed.unfold(1, PATCH, STRIDE).unfold(2, PATCH, STRIDE)[:, :down, :across]


def _descended(
    templates: Tensor,
    slope: list[Tensor],
    other: Tensor,
    begin: Tensor,
    start: Tensor,
    patches_at_once: int,
) -> Tensor:
    """(B, down, across, 2): where inverse search ends for every patch, after a second try from where the best
    of its neighbors ended.
    """
    count, down, across = templates.shape[:3]
    framed = _padded(other, (MARGIN,) * 4)
    moves = start.reshape(-1, 2).clone()
    corner = begin.expand(count, -1, -1, -1).reshape(-1, 2)
    textured = ((slope[0].abs().amax((-1, -2)) + slope[1].abs().amax((-1, -2))) > 0).flatten().nonzero()[:, 0]
    lots = textured.split(patches_at_once)

    def searching(chosen: Tensor) -> _Search:
        place = (chosen // (down * across), chosen // across % down, chosen % across)
        patches = _Patches.of(*(part[place] for part in (templates, *slope)))
        return _Search(patches, framed, place[0], corner[chosen])

    for chosen in lots:
        moves[chosen] = searching(chosen).descended(moves[chosen])
    offers = _neighbors(moves.reshape(count, down, across, 2))
    for chosen in lots:
        search, starts = searching(chosen), offers[:, chosen]
        squares = torch.stack([search.squares(each) for each in starts])
        least, which = squares.min(0)
        again = (least < WORTH_ANOTHER_TRY * squares[0]).nonzero()[:, 0]
        moves[chosen[again]] = search.kept(again).descended(starts[which[again], again])
    return moves.reshape(count, down, across, 2)


def _neighbors(moves: Tensor) -> Tensor:
    """(5, n, 2): of each patch (B, down, across, 2), its own motion and those above, below, left, right."""
    above = torch.cat([moves[:, :1], moves[:, :-1]], dim=1)
    below = torch.cat([moves[:, 1:], moves[:, -1:]], dim=1)
    left = torch.cat([moves[:, :, :1], moves[:, :, :-1]], dim=2)
    right = torch.cat([moves[:, :, 1:], moves[:, :, -1:]], dim=2)
    return torch.stack([moves, above, below, left, right]).flatten(1, 3)


@dataclass(frozen=True, slots=True)
class _Patches:
    """Patches (n, 64) free of their mean, their slopes likewise, and the inverse of the Hessian (n, 3) as
    (xx, xy, yy); zero where there is no texture.
    """

    template: Tensor
    across: Tensor
    down: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, template: Tensor, across: Tensor, down: Tensor) -> _Patches:
        """From (n, PATCH, PATCH) each."""
        template, across, down = (p.flatten(1) - p.flatten(1).mean(1, True) for p in (template, across, down))
        xx, xy, yy = (across**2).sum(1), (across * down).sum(1), (down**2).sum(1)
        determinant = xx * yy - xy**2
        known = (determinant > TEXTURELESS) / determinant.clamp_min(TEXTURELESS)
        return cls(template, across, down, torch.stack([yy, -xy, xx], dim=1) * known[:, None])

    def kept(self, which: Tensor) -> _Patches:
        return _Patches(self.template[which], self.across[which], self.down[which], self.inverse[which])


@dataclass(frozen=True, slots=True)
class _Search:
    """Patches and where they are looked for.

    framed: (B, H + 2 MARGIN, W + 2 MARGIN), the pictures searched. picture: (n,) which of them. corner:
    (n, 2) top-left pixel of each patch.
    """

    patches: _Patches
    framed: Tensor
    picture: Tensor
    corner: Tensor

    def kept(self, which: Tensor) -> _Search:
        return _Search(self.patches.kept(which), self.framed, self.picture[which], self.corner[which])

    def difference(self, move: Tensor) -> Tensor:
        """(n, 64): d of each patch moved by (n, 2)."""
        off = _window_at(self.framed, self.picture, self.corner + move) - self.patches.template
        return off - off.mean(1, True)

    def squares(self, move: Tensor) -> Tensor:
        return (self.difference(move) ** 2).sum(1)

    def descended(self, start: Tensor) -> Tensor:
        """(n, 2) motion of each patch from start (n, 2): the best seen."""
        search, active = self, torch.arange(len(start), device=start.device)
        result, move, first = start.clone(), start, start
        best = torch.full((len(start),), torch.inf, dtype=start.dtype, device=start.device)
        for step in range(STEPS):
            difference = search.difference(move)
            squares = (difference**2).sum(1)
            better = (squares < best) & ((move - first).abs().amax(1) < PATCH)
            result[active] = torch.where(better[:, None], move, result[active])
            patches = search.patches
            bx, by = (patches.across * difference).sum(1), (patches.down * difference).sum(1)
            xx, xy, yy = patches.inverse.unbind(1)
            change = torch.stack([xx * bx + xy * by, xy * bx + yy * by], dim=1)
            move = move - change
            going = better & (change.abs().amax(1) > ARRIVED)
            # A patch that did not improve stays: what it is moved by from here on never counts.
            best = torch.where(going, squares, -torch.inf)
            if step % COMPACT_EVERY == COMPACT_EVERY - 1:
                left = going.nonzero()[:, 0]
                if not len(left):
                    break
                if len(left) < 0.8 * len(active):
                    search, active = search.kept(left), active[left]
                    move, first, best = move[left], first[left], best[left]
        return result


def _window_at(framed: Tensor, picture: Tensor, corner: Tensor) -> Tensor:
    """(n, 64) bilinear windows with the top-left pixel at corner (n, 2) of each picture (n,)."""
    _, height, width = framed.shape
    last = corner.new_tensor([width - PATCH - 1.001, height - PATCH - 1.001])
    place = torch.minimum((corner + MARGIN).clamp_min(0.0), last)
    whole = place.floor()
    fx, fy = (place - whole).unsqueeze(-1).unsqueeze(-1).unbind(1)
    column, row = whole.long().unbind(1)
    # Every window of the batch as a view, the chosen ones copied: one gather of runs of PATCH + 1 pixels.
    everywhere = framed.as_strided(
        (framed.numel() - PATCH * (width + 1), PATCH + 1, PATCH + 1), (1, width, 1)
    )
    window = everywhere[picture * (height * width) + row * width + column]
    window = torch.lerp(window[:, :-1], window[:, 1:], fy)
    return torch.lerp(window[:, :, :-1], window[:, :, 1:], fx).flatten(1)


def _densified(one: Tensor, other: Tensor, moves: Tensor) -> Tensor:
    """(B, H, W, 2): the weighted mean of the motions (B, down, across, 2) of the patches on each pixel."""
    count, height, width = one.shape
    texels = texels_of(one.shape, one)
    total, weights = one.new_zeros((count, height, width, 2)), one.new_zeros((count, height, width, 1))
    for below in range(PATCH // STRIDE):
        for right in range(PATCH // STRIDE):
            part = moves[:, below : below + moves.shape[1] - 1, right : right + moves.shape[2] - 1]
            part = part.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)[:, :height, :width]
            off = sampled(other[:, None], texels + part)[:, 0] - one
            weight = (1.0 / off.abs().clamp_min(1.0))[..., None]
            total += weight * part
            weights += weight
    return total / weights

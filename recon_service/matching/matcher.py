"""Dense matches between pairs of views.

The current mesh is cast into view i; the picture of view j is warped over it, so that what remains between
the two is the error of the fit: a few pixels, which dense inverse-search optical flow (Kroeger et al.)
finds, forth and back. Pixels where both directions agree and the skin has texture become matches: a point
of the surface by the ray of view i, and where view j shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.evidence import SurfaceMatches
from recon_service.domain.fit import Fit
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.geometry import raycast
from recon_service.matching.shading import DARKEST, shading
from recon_service.matching.view import FaceView, evened


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """How matches are found. Lengths in working pixels.

    face_px: height of the face at working size. largest_scale: a small face is enlarged at most so much.
    stride: the mesh is cast every so many pixels. min_facing: cosine between normal and line of sight.
    erosion: matches keep this far from the edge of what both views see. max_disagreement: between the flow
    forth and back. max_flow: longest motion. texture_share: share of the least textured pixels that is left
    out. samples: matches kept per pair. sd: standard deviation of a match. effective_matches: independent
    matches of a pair.
    """

    face_px: float = 256.0
    blur: float = 5.0
    largest_scale: float = 2.0
    stride: int = 2
    min_facing: float = 0.3
    erosion: int = 7
    max_disagreement: float = 0.8
    max_flow: float = 14.0
    texture_share: float = 0.15
    samples: int = 400
    min_matches: int = 50
    sd: float = 1.0
    effective_matches: float = 250.0


class SurfaceMatcher:
    """Finds surface matches between the pictures of one person."""

    def __init__(self, model: MorphableModel, options: MatchOptions | None = None) -> None:
        self._model = model
        self._options = options or MatchOptions()
        self._face_vertices = np.unique(model.triangles[model.skin])

    def views(self, images: Sequence[Image], fit: Fit) -> list[FaceView]:
        """The pictures at working size, cut out where the fit has the face."""
        views = []
        for k, (image, capture) in enumerate(zip(images, fit.captures, strict=True)):
            face = fit.mesh(self._model, capture=k).vertices[self._face_vertices]
            points = capture.camera.project(capture.pose.apply(face))
            views.append(
                FaceView.of(
                    image, points, face_px=self._options.face_px, largest_scale=self._options.largest_scale
                )
            )
        return views

    def matches(
        self, views: Sequence[FaceView], fit: Fit, pairs: Sequence[tuple[int, int]], *, seed: int = 0
    ) -> list[SurfaceMatches]:
        """Matches of the given pairs of views under the current fit; pairs with too few are left out."""
        rng = np.random.default_rng(seed)
        posed = [self._posed(fit, k) for k in range(len(views))]
        cast = {i: self._cast(views[i], fit, posed[i], i) for i in dict.fromkeys(i for i, _ in pairs)}
        found = []
        for i, j in pairs:
            matches = self._pair(cast[i], views, posed, fit, i, j, rng)
            if matches is not None:
                found.append(matches)
        return found

    def _posed(self, fit: Fit, k: int) -> tuple[Mesh, Array]:
        mesh = fit.mesh(self._model, capture=k)
        pose = fit.captures[k].pose
        return Mesh(pose.apply(mesh.vertices), mesh.triangles), mesh.vertex_normals() @ pose.rotation.T

    def _cast(self, view: FaceView, fit: Fit, posed: tuple[Mesh, Array], i: int) -> _Cast:
        """What every ``stride``-th working pixel of view i sees of the mesh."""
        stride = self._options.stride
        height, width = view.gray.shape
        camera = working_camera(fit.captures[i].camera, view, stride)
        mesh, normals = posed
        hits = raycast(mesh, camera)
        seen = hits.mask & (hits.cosine > self._options.min_facing)
        seen[seen] = self._model.skin[hits.triangle[seen]]
        rows, columns = np.nonzero(seen)
        triangles, barycentric = hits.triangle[seen], hits.barycentric[seen]
        corners = mesh.triangles[triangles]
        points = np.einsum("nb,nbc->nc", barycentric, mesh.vertices[corners])
        seen_normals = np.einsum("nb,nbc->nc", barycentric, normals[corners])
        keep = _facing(points, seen_normals) > self._options.min_facing
        return _Cast(
            rows[keep],
            columns[keep],
            triangles[keep],
            barycentric[keep],
            corners[keep],
            seen_normals[keep],
            (height, width),
            seen.shape,
        )

    def _prepared(self, gray: NDArray[np.float32], grid: _Grid, normals: Array) -> NDArray[np.uint8]:
        """A view ready for optical flow: shading divided out, contrast evened, nothing outside the mask.

        normals: (N, 3) camera frame of this view, at the points of the grid.
        """
        stride = self._options.stride
        brightness = gray[grid.rows * stride, grid.columns * stride].astype(np.float64)
        unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        light = grid.spread(shading(brightness, unit), outside=1.0)
        return evened(
            np.asarray(gray / np.maximum(light, DARKEST), dtype=np.float32),
            grid.mask,
            blur=self._options.blur,
        )

    def _pair(
        self,
        cast: _Cast,
        views: Sequence[FaceView],
        posed: Sequence[tuple[Mesh, Array]],
        fit: Fit,
        i: int,
        j: int,
        rng: np.random.Generator,
    ) -> SurfaceMatches | None:
        o, view_i, view_j = self._options, views[i], views[j]
        mesh, normals = posed[j]
        points = np.einsum("nb,nbc->nc", cast.barycentric, mesh.vertices[cast.corners])
        there_normals = np.einsum("nb,nbc->nc", cast.barycentric, normals[cast.corners])
        facing = _facing(points, there_normals)
        both = facing > o.min_facing
        if both.sum() < o.min_matches:
            return None
        there = view_j.to_working(fit.captures[j].camera.project(points))
        grid = _Grid.over(cast, both, stride=o.stride)
        where = grid.spread(there[both])
        mask, size = grid.mask, (cast.shape[1], cast.shape[0])
        rows, columns = grid.rows, grid.columns
        warped = cv2.remap(view_j.gray, where[..., 0], where[..., 1], cv2.INTER_LINEAR)
        first = self._prepared(view_i.gray, grid, cast.normals[both])
        second = self._prepared(np.asarray(warped, dtype=np.float32), grid, there_normals[both])
        nothing_known = np.zeros((*mask.shape, 2), dtype=np.float32)
        # One per pair: OpenCV keeps working memory in the object, and a matcher may serve several threads.
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow.setUseMeanNormalization(True)
        forth = flow.calc(first, second, nothing_known.copy())
        back = flow.calc(second, first, nothing_known)

        x, y = columns * o.stride, rows * o.stride
        inner = cv2.erode(mask, np.ones((o.erosion, o.erosion), np.uint8))
        move = forth[y, x]
        landed = np.clip(np.round(np.stack([x, y], axis=1) + move).astype(int), 0, np.array(size) - 1)
        disagreement = np.linalg.norm(move + back[landed[:, 1], landed[:, 0]], axis=1)
        texture = _texture(first)[y, x]
        good = (
            (inner[y, x] > 0)
            & (inner[landed[:, 1], landed[:, 0]] > 0)
            & (disagreement < o.max_disagreement)
            & (np.linalg.norm(move, axis=1) < o.max_flow)
            & (texture > np.quantile(texture, o.texture_share))
        )
        chosen = np.flatnonzero(good)
        if len(chosen) < o.min_matches:
            return None
        chosen = rng.choice(chosen, min(o.samples, len(chosen)), replace=False)
        start = np.stack([x, y], axis=1)[chosen].astype(np.float32)
        end = start + move[chosen]
        target = cv2.remap(where, end[None, :, 0], end[None, :, 1], cv2.INTER_LINEAR)[0]
        kept = np.flatnonzero(both)[chosen]
        return SurfaceMatches(
            first=i,
            second=j,
            triangles=cast.triangles[kept],
            barycentric=cast.barycentric[kept],
            first_pixels=view_i.to_picture(start.astype(np.float64)),
            second_pixels=view_j.to_picture(target.astype(np.float64)),
            sd=o.sd / view_j.mean_scale,
            effective_matches=o.effective_matches * min(view_i.resolved, view_j.resolved),
        )


@dataclass(frozen=True, slots=True)
class _Cast:
    """The mesh points that the pixels of a coarse grid over a view see; rows and columns count grid steps."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    triangles: NDArray[np.int64]
    barycentric: Array
    corners: NDArray[np.int64]
    normals: Array
    shape: tuple[int, int]
    coarse_shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Grid:
    """The coarse grid points that both views of a pair see, and the mask of working pixels between them."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    mask: NDArray[np.uint8]
    stride: int
    coarse_shape: tuple[int, int]

    @classmethod
    def over(cls, cast: _Cast, seen: NDArray[np.bool_], *, stride: int) -> _Grid:
        rows, columns = cast.rows[seen], cast.columns[seen]
        coarse = np.zeros(cast.coarse_shape, dtype=np.uint8)
        coarse[rows, columns] = 1
        mask = _enlarged(coarse, cast.shape, stride, cv2.INTER_NEAREST, 0.0)
        return cls(rows, columns, np.asarray(mask, dtype=np.uint8), stride, cast.coarse_shape)

    def spread(self, values: Array, *, outside: float = 0.0) -> NDArray[np.float32]:
        """Values at the grid points, (N,) or (N, C), interpolated to every working pixel: (h, w) or (h, w,
        C).
        """
        coarse = np.full((*self.coarse_shape, *values.shape[1:]), outside, dtype=np.float32)
        coarse[self.rows, self.columns] = values
        shape = (self.mask.shape[0], self.mask.shape[1])
        return np.asarray(_enlarged(coarse, shape, self.stride, cv2.INTER_LINEAR, outside), dtype=np.float32)


def _enlarged(
    coarse: NDArray[Any], shape: tuple[int, int], stride: int, interpolation: int, outside: float
) -> NDArray[Any]:
    """Grid point k becomes working pixel k * stride, exactly; cv2.resize would shift by half a pixel."""
    grid = np.array([[1.0 / stride, 0.0, 0.0], [0.0, 1.0 / stride, 0.0]])
    flags = interpolation | cv2.WARP_INVERSE_MAP
    size = (shape[1], shape[0])
    border = (outside, outside, outside, outside)
    return np.asarray(cv2.warpAffine(coarse, grid, size, flags=flags, borderValue=border))


def working_camera(camera: PinholeCamera, view: FaceView, stride: int) -> PinholeCamera:
    """The camera whose pixels are every ``stride``-th pixel of a view at working size."""
    height, width = view.gray.shape
    across, down = (scale / stride for scale in view.scale)
    center = view.to_working(np.array([[camera.cx, camera.cy]]))[0] / stride
    return PinholeCamera(
        width=-(-width // stride),
        height=-(-height // stride),
        fx=camera.fx * across,
        fy=camera.fy * down,
        cx=float(center[0]),
        cy=float(center[1]),
        distortion=camera.distortion,
    )


def _facing(points: Array, normals: Array) -> Array:
    length = np.linalg.norm(points, axis=1) * np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    return np.asarray(-np.einsum("nc,nc->n", normals, points) / length)


def _texture(pixels: NDArray[np.uint8]) -> Array:
    across, down = cv2.Sobel(pixels, cv2.CV_32F, 1, 0), cv2.Sobel(pixels, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.GaussianBlur(across * across + down * down, (0, 0), 4.0))

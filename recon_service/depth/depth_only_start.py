"""The head pose from a depth map alone.

In the direction in which a face looks, the tip of the nose is its farthest point. So for each direction of
a coarse grid the outermost point of the foreground is taken for the nose, the mean face is put there, and
the best-fitting few of these guesses are refined by rigid point-to-plane alignment; the one that explains
the depth map best wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from recon_service.depth.errors import NoFaceInDepth, TooLittleDepth
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.errors import FitFailed
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose

NEAR_MM, FAR_MM = 200.0, 1800.0
LAYER_MM = 260.0
"""Depth of the foreground layer behind its nearest part: a head fits in, the wall does not."""
HEAD_HEIGHT_MM, TIGHT_HEIGHT_MM, CROWN_HEIGHT_MM = 300.0, 200.0, 120.0
HALF_HEAD_MM = 100.0
MIN_PIXELS = 200
YAWS = (-40.0, -20.0, 0.0, 20.0, 40.0)
PITCHES = (-25.0, 0.0, 25.0)
MAX_TURN_DEG = (60.0, 45.0, 40.0)
"""Yaw, pitch and roll beyond which a pose is an accident of the alignment."""
TRIED, REFINED = 12, 4
"""Guesses that are aligned roughly, and those of them that are aligned to the end."""
ROUGH_ROUNDS = 5
REFINEMENTS = 12
ALIGNMENT_POINTS = 220
INLIER_MM = 8.0
BEHIND_MM = 25.0
"""A model point so far in front of the measured surface stands in free space: the camera would have seen
it.
"""
MIN_SCORE = 0.35
MOUTH_MM = -25.0
"""Height in the head frame below which the face moves with the jaw: left out, so that an open mouth does no
harm.
"""
LARGEST_LAYERS = 3


@dataclass(frozen=True, slots=True)
class _Scene:
    depth: Array
    camera: PinholeCamera
    layers: tuple[Array, ...]
    """Connected foreground layers, each (N, 3) points in the camera frame."""


def pose_from_depth(depth: Array, camera: PinholeCamera, model: MorphableModel) -> HeadPose:
    """The head pose in a cleaned depth map (H, W) mm. Raises TooLittleDepth or NoFaceInDepth."""
    scene = _Scene(depth, camera, _foreground(depth, camera))
    mean, normals = _points(model)
    nose = mean[mean[:, 2].argmax()]
    guesses = []
    for yaw in YAWS:
        for pitch in PITCHES:
            pose = HeadPose.from_angles(yaw=yaw, pitch=pitch, roll=0.0, translation=np.zeros(3))
            tips = (layer[(layer @ pose.rotation[:, 2]).argmax()] for layer in scene.layers)
            # Parts of one layer often share their outermost point: refine it once.
            for tip in {tuple(tip): tip for tip in tips}.values():
                guess = HeadPose(pose.rotation, tip - pose.rotation @ nose)
                guesses.append((_score(scene, mean, normals, guess, 2 * INLIER_MM), guess))
    guesses.sort(key=lambda guess: -guess[0])
    rough = [_align(scene, mean, normals, pose, range(ROUGH_ROUNDS)) for _, pose in guesses[:TRIED]]
    rough.sort(key=lambda pose: -_score(scene, mean, normals, pose, INLIER_MM))
    rest = range(ROUGH_ROUNDS, REFINEMENTS)
    refined = [_align(scene, mean, normals, pose, rest) for pose in rough[:REFINED]]
    plausible = [pose for pose in refined if (np.abs(pose.angles()) < MAX_TURN_DEG).all()]
    scored = [(_score(scene, mean, normals, pose, INLIER_MM), pose) for pose in plausible]
    score, best = max(scored, key=lambda pair: pair[0], default=(0.0, guesses[0][1]))
    if score < MIN_SCORE:
        raise NoFaceInDepth(
            "Nothing in the depth map has the shape and size of a face.",
            next_step="Stand upright, 0.4 to 1.2 m away; check the depth scale and the intrinsics.",
        )
    return best


def pose_near(depth: Array, camera: PinholeCamera, model: MorphableModel, last: HeadPose) -> HeadPose | None:
    """The head pose in a cleaned depth map (H, W) mm that follows an earlier frame's by a small rigid motion,
    or None where no face is found there.
    """
    scene = _Scene(depth, camera, ())
    mean, normals = _points(model)
    pose = _align(scene, mean, normals, last, range(REFINEMENTS))
    usual = bool((np.abs(pose.angles()) < MAX_TURN_DEG).all()) and pose.translation[2] > 0
    return pose if usual and _score(scene, mean, normals, pose, INLIER_MM) >= MIN_SCORE else None


def _points(model: MorphableModel) -> tuple[Array, Array]:
    """Points of the mean face above the mouth (N, 3), and their normals."""
    every = max(1, len(model.surface) // ALIGNMENT_POINTS)
    chosen = model.surface[::every]
    chosen = chosen[model.vertices.mean[chosen, 1] > MOUTH_MM]
    return model.vertices.mean[chosen], model.vertices.normals[chosen]


def _foreground(depth: Array, camera: PinholeCamera) -> tuple[Array, ...]:
    """The largest connected near layers, each cut a head's height below its top: (N, 3) points."""
    near = (depth > NEAR_MM) & (depth < FAR_MM)
    if near.sum() < MIN_PIXELS:
        raise TooLittleDepth(
            f"Only {int(near.sum())} pixels lie between {NEAR_MM:g} and {FAR_MM:g} mm.",
            next_step="Stand 0.4 to 1.2 m before the camera; check the depth scale.",
        )
    front = np.percentile(depth[near], 5)
    layer = (near & (depth < front + LAYER_MM)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(layer, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    largest = [i for i in 1 + np.argsort(-areas[1:]) if areas[i] >= MIN_PIXELS][:LARGEST_LAYERS]
    if not largest:
        raise TooLittleDepth(
            "The depth map has no connected foreground.", next_step="Stand closer to the camera."
        )
    layers: list[Array] = []
    for label in largest:
        rows, columns = np.nonzero(labels == label)
        pixels = np.stack([columns, rows], axis=1).astype(np.float64)
        points = camera.rays(pixels) * depth[rows, columns][:, None]
        layers.extend(_head_parts(points))
    return tuple(layers)


def _head_parts(points: Array) -> tuple[Array, Array]:
    """The upper part of a layer, generous and tight: shoulders or a raised hand that stand before the face
    must not be the only candidates for a nose.
    """
    top = points[:, 1].min()
    generous = points[points[:, 1] < top + HEAD_HEIGHT_MM]
    crown = points[points[:, 1] < top + CROWN_HEIGHT_MM]
    beside = np.abs(generous[:, 0] - np.median(crown[:, 0]))
    tight = generous[(generous[:, 1] < top + TIGHT_HEIGHT_MM) & (beside < HALF_HEAD_MM)]
    return generous, tight


def _score(scene: _Scene, mean: Array, normals: Array, pose: HeadPose, scale: float) -> float:
    """Share of the model's camera-facing points that lie on the measured surface, less those in free space;
    at most 1.
    """
    points, facing = _placed(mean, normals, pose)
    depth, seen = depth_at(scene.depth, scene.camera, points)
    gap = depth - points[:, 2]
    on = np.where(seen, np.maximum(0.0, 1.0 - (gap / scale) ** 2), 0.0)
    free = seen & (gap > BEHIND_MM)
    visible = facing > 0.2
    # A turned head shows fewer points; a pose that hides most of the face must not win by the few that
    # remain.
    return float((on[visible].sum() - free[visible].sum()) / max(visible.sum(), 0.7 * len(points)))


def _align(scene: _Scene, mean: Array, normals: Array, pose: HeadPose, rounds: range) -> HeadPose:
    """Rigid point-to-plane alignment by Gauss-Newton with Cauchy weights and a narrowing gate."""
    for round_ in rounds:
        points, facing = _placed(mean, normals, pose)
        depth, seen = depth_at(scene.depth, scene.camera, points)
        turned_normals = normals @ pose.rotation.T
        residual = np.einsum("ni,ni->n", turned_normals, points) * (depth / points[:, 2] - 1.0)
        gate = max(10.0, 40.0 - 4.0 * round_)
        used = seen & (facing > 0.2) & (np.abs(residual) < gate)
        if used.sum() < 20:
            break
        n, x, r = turned_normals[used], points[used] - pose.translation, residual[used]
        weight = 1.0 / (1.0 + (r / 6.0) ** 2)
        jacobian = np.concatenate([np.cross(x, n), n], axis=1)
        # The weak prior keeps a nearly spherical or flat view from sliding and spinning.
        prior = np.diag([100.0**2] * 3 + [1.0] * 3) * 0.02
        system = (jacobian * weight[:, None]).T @ jacobian + prior
        step = np.linalg.solve(system, (jacobian * weight[:, None]).T @ r)
        if not np.isfinite(step).all():
            raise FitFailed("The rigid alignment diverged.", next_step="Take the capture again.")
        pose = pose.moved(step[:3], step[3:])
    return pose


def _placed(mean: Array, normals: Array, pose: HeadPose) -> tuple[Array, Array]:
    """Points (N, 3) in the camera frame, and the cosine (N,) between their normals and the line of sight."""
    points = pose.apply(mean)
    distance = np.maximum(np.linalg.norm(points, axis=1), 1e-9)
    facing = -np.einsum("ni,ni->n", normals @ pose.rotation.T, points) / distance
    return points, facing

"""The head pose from a depth map alone.

In the direction in which a face looks, the tip of the nose is its farthest point. So for each direction of
a coarse grid the outermost point of the foreground is taken for the nose, the mean face is put there, and
the best-fitting few of these guesses are refined by rigid point-to-plane alignment; the one that explains
the depth map best wins.
"""

from __future__ import annotations

import cv2
import numpy as np

from recon_service.depth.errors import NoFaceInDepth, TooLittleDepth
from recon_service.depth.rigid_alignment import INLIER_MM, Guesses, RigidFace
from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.sight_lines import sight_lines

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
MIN_SCORE = 0.35
LARGEST_LAYERS = 3


def pose_from_depth(depth: Array, camera: PinholeCamera, model: MorphableModel) -> HeadPose:
    """The head pose in a cleaned depth map (H, W) mm. Raises TooLittleDepth or NoFaceInDepth."""
    layers = _foreground(depth, camera)
    face = RigidFace.mean_of(model, depth, camera)
    guesses = _first_guesses(layers, face)
    guesses = guesses.take(_best(face.scores(guesses, 2 * INLIER_MM), TRIED))
    guesses = face.aligned(guesses, range(ROUGH_ROUNDS))
    guesses = guesses.take(_best(face.scores(guesses), REFINED))
    guesses = face.aligned(guesses, range(ROUGH_ROUNDS, REFINEMENTS))
    scored = [
        (score, pose)
        for score, pose in zip(face.scores(guesses), guesses.poses(), strict=True)
        if (np.abs(pose.angles()) < MAX_TURN_DEG).all()
    ]
    score, best = max(scored, key=lambda pair: pair[0], default=(0.0, None))
    if best is None or score < MIN_SCORE:
        raise NoFaceInDepth(
            "Nothing in the depth map has the shape and size of a face.",
            next_step="Stand upright, 0.4 to 1.2 m away; check the depth scale and the intrinsics.",
        )
    return best


def pose_near(depth: Array, camera: PinholeCamera, model: MorphableModel, last: HeadPose) -> HeadPose | None:
    """The head pose in a cleaned depth map (H, W) mm that follows an earlier frame's by a small rigid motion,
    or None where no face is found there.
    """
    face = RigidFace.mean_of(model, depth, camera)
    found = face.aligned(Guesses.of([last]), range(REFINEMENTS))
    (pose,) = found.poses()
    usual = bool((np.abs(pose.angles()) < MAX_TURN_DEG).all()) and pose.translation[2] > 0
    return pose if usual and face.scores(found)[0] >= MIN_SCORE else None


def _first_guesses(layers: tuple[Array, ...], face: RigidFace) -> Guesses:
    """For each direction the nose at the outermost point of each layer."""
    nose = face.points[face.points[:, 2].argmax()]
    rotations = _directions()
    found: list[tuple[Array, Array]] = []
    tips = [layer[(rotations[:, :, 2] @ layer.T).argmax(axis=1)] for layer in layers]
    for rotation, outermost in zip(rotations, np.stack(tips, axis=1), strict=True):
        # Parts of one layer often share their outermost point: refine it once.
        found += [
            (rotation, tip - rotation @ nose) for tip in {tuple(tip): tip for tip in outermost}.values()
        ]
    return Guesses(np.stack([r for r, _ in found]), np.stack([t for _, t in found]))


def _directions() -> Array:
    """(D, 3, 3) rotations of the coarse grid."""
    origin = np.zeros(3)
    poses = [
        HeadPose.from_angles(yaw=y, pitch=p, roll=0.0, translation=origin) for y in YAWS for p in PITCHES
    ]
    return np.stack([pose.rotation for pose in poses])


def _best(scores: Array, count: int) -> Array:
    """Rows of the best, best first; of equals the first."""
    return np.asarray(np.argsort(-scores, kind="stable")[:count])


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
    x, y = sight_lines(camera)
    for label in largest:
        left, top, width, height = stats[label, :4]
        cut = np.s_[top : top + height, left : left + width]
        there = labels[cut] == label
        z = depth[cut][there]
        layers.extend(_head_parts(np.stack([x[cut][there] * z, y[cut][there] * z, z], axis=1)))
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

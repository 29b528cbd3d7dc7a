"""The head pose from a depth map alone.

In the direction in which a face looks, the tip of the nose is its farthest point, unless the chin or the
brow is. So for each direction of a coarse grid the outermost point of the foreground is taken for the nose,
and for a point above or below it; the mean face is put there; the best of these guesses are refined by
point-to-plane alignment, the last few of them while the face takes the person's shape on; and the one that
explains the depth map best wins (docs/adr/0194).
"""

from __future__ import annotations

import cv2
import numpy as np

from recon_service.depth.alignment import ROUGHLY_MM, FaceOnDepth, Guesses
from recon_service.depth.errors import NoFaceInDepth, TooLittleDepth
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
TURN_COST = 0.2
"""What a turn up to the limits takes from the rank: people look at the camera, and a cheek is as smooth as a
face.
"""
NOSE_SHIFTS_MM = (-40.0, 0.0, 40.0)
"""Up and down the face, from the outermost point to the nose."""
TRIED, REFINED = 24, 6
"""Guesses that are aligned roughly, and those of them that are aligned to the end: places of their own."""
ALIKE_DEG, ALIKE_MM = 10.0, 15.0
"""Two guesses nearer than both have come to rest at one place."""
ROUGH_ROUNDS = 5
REFINEMENTS = 12
MIN_SCORE = 0.45
LARGEST_LAYERS = 3


def pose_from_depth(depth: Array, camera: PinholeCamera, model: MorphableModel) -> HeadPose:
    """The head pose in a cleaned depth map (H, W) mm. Raises TooLittleDepth or NoFaceInDepth."""
    layers = _foreground(depth, camera)
    face = FaceOnDepth.of(model, depth, camera)
    guesses = _first_guesses(layers, face)
    guesses = guesses.take(_best(face.scores(guesses, ROUGHLY_MM))[:TRIED])
    guesses = face.aligned(guesses, range(ROUGH_ROUNDS))
    guesses = guesses.take(_best_places(guesses, face.scores(guesses)))
    guesses = face.aligned(guesses, range(ROUGH_ROUNDS - 1, REFINEMENTS), shape=True)
    poses = guesses.poses()
    ranks = face.ranks(guesses) - TURN_COST * np.array([_turn(pose) ** 2 for pose in poses])
    usual = (face.scores(guesses) >= MIN_SCORE) & np.array([_is_usual(pose) for pose in poses])
    if not usual.any():
        raise NoFaceInDepth(
            "Nothing in the depth map has the shape and size of a face.",
            next_step="Stand upright, 0.4 to 1.2 m away; check the depth scale and the intrinsics.",
        )
    return poses[int(np.where(usual, ranks, -np.inf).argmax())]


def pose_near(depth: Array, camera: PinholeCamera, model: MorphableModel, last: HeadPose) -> HeadPose | None:
    """The head pose in a cleaned depth map (H, W) mm that follows an earlier frame's by a small rigid motion,
    or None where no face is found there.
    """
    face = FaceOnDepth.of(model, depth, camera)
    found = face.aligned(Guesses.of([last]), range(ROUGH_ROUNDS))
    found = face.aligned(found, range(ROUGH_ROUNDS - 1, REFINEMENTS), shape=True)
    (pose,) = found.poses()
    return pose if _is_usual(pose) and face.scores(found)[0] >= MIN_SCORE else None


def _turn(pose: HeadPose) -> float:
    """How far a head is turned: 1 where one of the limits is reached and the other angles are zero."""
    return float(np.linalg.norm(np.divide(pose.angles(), MAX_TURN_DEG)))


def _is_usual(pose: HeadPose) -> bool:
    """Before the camera, and turned by no more than a head is."""
    return bool((np.abs(pose.angles()) < MAX_TURN_DEG).all()) and bool(pose.translation[2] > 0)


def _first_guesses(layers: tuple[Array, ...], face: FaceOnDepth) -> Guesses:
    """For each direction the nose at the outermost point of each layer, or above or below it."""
    nose = face.points[face.points[:, 2].argmax()]
    noses = nose + np.outer(NOSE_SHIFTS_MM, (0.0, 1.0, 0.0))
    rotations = _directions()
    found: list[tuple[Array, Array]] = []
    tips = [layer[(rotations[:, :, 2] @ layer.T).argmax(axis=1)] for layer in layers]
    for rotation, outermost in zip(rotations, np.stack(tips, axis=1), strict=True):
        # Parts of one layer often share their outermost point: refine it once.
        tips_here = {tuple(tip): tip for tip in outermost}.values()
        found += [(rotation, tip - rotation @ at) for tip in tips_here for at in noses]
    return Guesses.placed(np.stack([r for r, _ in found]), np.stack([t for _, t in found]))


def _directions() -> Array:
    """(D, 3, 3) rotations of the coarse grid."""
    origin = np.zeros(3)
    poses = [
        HeadPose.from_angles(yaw=y, pitch=p, roll=0.0, translation=origin) for y in YAWS for p in PITCHES
    ]
    return np.stack([pose.rotation for pose in poses])


def _best(scores: Array) -> Array:
    """Rows, best first; of equals the first."""
    return np.asarray(np.argsort(-scores, kind="stable"))


def _best_places(guesses: Guesses, scores: Array) -> Array:
    """Rows of the best guesses, each at a place of its own, best first; at most REFINED."""
    chosen: list[int] = []
    for row in _best(scores):
        cosine = (np.einsum("gij,ij->g", guesses.rotations[chosen], guesses.rotations[row]) - 1.0) / 2.0
        apart = np.linalg.norm(guesses.translations[chosen] - guesses.translations[row], axis=1)
        if not ((cosine > np.cos(np.deg2rad(ALIKE_DEG))) & (apart < ALIKE_MM)).any():
            chosen.append(int(row))
        if len(chosen) == REFINED:
            break
    return np.array(chosen)


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

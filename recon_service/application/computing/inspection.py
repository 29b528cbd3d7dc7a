"""Looking into a template: how sure each part of the face is, how well the selfies agree with it, and how
far a depth capture lies from it. For operations and developers; nothing of it takes part in a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from recon_service.application.computing.enroll import EnrollmentResult, enroll
from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import observe
from recon_service.application.computing.visit_decoding import decode_visit
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.domain.arrays import Array
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.depth_sampling import depth_at
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.images import Image
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Template

REGIONS: Final = {
    "forehead": (10, 151, 108, 337, 67, 297),
    "right eye": (159, 145, 33, 133, 70, 105),
    "left eye": (386, 374, 263, 362, 300, 334),
    "nose": (1, 4, 5, 195, 6, 98, 327),
    "mouth": (13, 14, 61, 291, 0, 17),
    "right cheek": (205, 50, 187, 123),
    "left cheek": (425, 280, 411, 352),
    "chin": (152, 199, 175),
}
"""FaceMesh landmarks at whose places a region is; a vertex belongs to the nearest."""
REACH_MM: Final = 22.0
"""Vertices farther from every landmark are no part of the face proper."""
NEIGHBORS: Final = 4
SEEN_COSINE: Final = 0.3
FARTHEST_MM: Final = 15.0
ALIGNMENTS: Final = 8
ROBUST_MM: Final = 2.0
MOST_OVERLAYS: Final = 3
"""Half a second each: an inspection has the time limit of a verification."""


def posterior_width(model: MorphableModel, posterior: IdentityPosterior) -> Array:
    """(V,) mm: square root of n' B Σ B' n with the unit normals n (V, 3) of the most probable face, the
    identity basis B (V, 3, K) and the covariance Σ (K, K).
    """
    normals = model.mesh(posterior.mean).vertex_normals()
    along = np.einsum("vc,vck->vk", normals, model.vertices.identity)
    spread = along @ np.linalg.cholesky(posterior.covariance)
    return np.asarray(np.sqrt((spread**2).sum(axis=1)))


def region_widths(
    model: MorphableModel, landmark_model: LandmarkModel, width: Array
) -> tuple[tuple[str, float], ...]:
    """Root mean square of ``width`` over the vertices of each region."""
    places = landmark_model.points.mean
    names, seeds = list(REGIONS), []
    for number, landmarks in enumerate(REGIONS.values()):
        seeds += [(number, landmark) for landmark in landmarks]
    distance, nearest = cKDTree(places[[landmark for _, landmark in seeds]]).query(model.vertices.mean)
    region = np.array([number for number, _ in seeds])[nearest]
    region[distance > REACH_MM] = -1
    return tuple(
        (name, float(np.sqrt(np.mean(width[region == number] ** 2))))
        for number, name in enumerate(names)
        if (region == number).any()
    )


def of_the_face(model: MorphableModel, landmark_model: LandmarkModel) -> NDArray[np.bool_]:
    """(V,): the face proper, without hair line, ears and neck, of which selfies say little."""
    distance, _ = cKDTree(landmark_model.points.mean).query(model.vertices.mean)
    return np.asarray(distance <= REACH_MM)


def landmark_residuals(result: EnrollmentResult, pipeline: FacePipeline) -> Array | None:
    """(V,) mm, mean over the selfies that were used; None where there is no fit."""
    if result.fit is None:
        return None
    landmark_model = pipeline.landmark_model
    found = []
    for selfie, capture in zip(result.used, result.fit.captures, strict=True):
        if selfie.landmarks is None:
            continue
        seen = landmark_model.points.positions(result.fit.posterior.mean, capture.expression)
        posed = capture.pose.apply(seen)
        away = np.linalg.norm(selfie.landmarks.points - capture.camera.project(posed), axis=1)
        found.append(away * posed[:, 2] / capture.camera.fx)
    usable = np.flatnonzero(landmark_model.usable)
    mean = np.mean(found, axis=0)[usable]
    return spread_over(pipeline.model.vertices.mean, landmark_model.points.mean[usable], mean)


def spread_over(vertices: Array, places: Array, values: Array) -> Array:
    """(V,) by inverse distance from the nearest of places (N, 3); NaN beyond ``REACH_MM``."""
    distance, nearest = cKDTree(places).query(vertices, k=NEIGHBORS)
    weights = 1 / np.maximum(distance, 0.5) ** 2
    out = (values[nearest] * weights).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(np.where(distance[:, 0] <= REACH_MM, out, np.nan))


def depth_distance(
    frames: Sequence[DepthFrame], fits: Sequence[Fit], model: MorphableModel, posterior: IdentityPosterior
) -> Array | None:
    """(V,) mm: the depth surface from the template's face with the capture's expression, laid on each other
    rigidly. Of the frame and fit that cover most of the face; None where there is none.
    """
    best: Array | None = None
    for fit in fits:
        capture = fit.captures[0]
        face = model.mesh(posterior.mean, capture.expression)
        for frame in frames:
            found = _distance(frame, face, aligned(frame, face, capture, model))
            if best is None or np.isfinite(found).sum() > np.isfinite(best).sum():
                best = found
    return best


def aligned(frame: DepthFrame, face: Mesh, capture: CaptureFit, model: MorphableModel) -> HeadPose:
    """The pose that lays the face on the depth surface: Gauss-Newton on distances along the normals of the
    points that see the camera, those far away counting less.
    """
    pose, normals = capture.pose, face.vertex_normals()
    rows = model.surface
    for _ in range(ALIGNMENTS):
        away, turned_normals, seen = _along_normals(frame, face.vertices[rows], normals[rows], pose)
        if seen.sum() < 50:
            return capture.pose
        n, d = turned_normals[seen], away[seen]
        lever = face.vertices[rows][seen] @ pose.rotation.T
        jacobian = np.concatenate([np.cross(lever, n), n], axis=1)
        weights = 1 / (1 + (d / ROBUST_MM) ** 2)
        normal_matrix = (jacobian * weights[:, None]).T @ jacobian + 1e-6 * np.eye(6)
        step = np.linalg.solve(normal_matrix, (jacobian * weights[:, None]).T @ d)
        pose = pose.moved(step[:3], step[3:])
    return pose


def _distance(frame: DepthFrame, face: Mesh, pose: HeadPose) -> Array:
    away, _, seen = _along_normals(frame, face.vertices, face.vertex_normals(), pose)
    return np.asarray(np.where(seen & (np.abs(away) < FARTHEST_MM), away, np.nan))


def _along_normals(
    frame: DepthFrame, points: Array, normals: Array, pose: HeadPose
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Distances (N,) mm of the measured surface along the normals, these normals (N, 3) in the camera frame,
    and (N,) whether the camera sees the point.
    """
    posed, turned = pose.apply(points), normals @ pose.rotation.T
    depth, seen = depth_at(frame.depth, frame.camera, posed)
    measured = posed * (depth / np.maximum(posed[:, 2], 1.0))[:, None]
    facing = -np.einsum("nc,nc->n", turned, posed) / np.maximum(np.linalg.norm(posed, axis=1), 1e-9)
    away = np.einsum("nc,nc->n", turned, measured - posed)
    return away, turned, seen & (facing > SEEN_COSINE) & (np.abs(away) < 2 * FARTHEST_MM)


Overlay = Callable[[Image, CaptureFit, Mesh, MorphableModel], bytes]
"""Draws the mesh of a capture (with its expression, head frame) over its picture, as PNG."""


def no_overlay(_image: Image, _fitted: CaptureFit, _mesh: Mesh, _model: MorphableModel) -> bytes:
    """Where nobody draws."""
    return b""


def inspected(
    template: Template,
    selfies: Sequence[bytes],
    visit: KioskVisit | None,
    outcome: VerificationOutcome | None,
    pipeline: FacePipeline,
    overlay: Overlay,
) -> Inspection:
    """Everything that can be said. outcome: of comparing the visit with the template."""
    model, posterior = pipeline.model, template.posterior
    width = posterior_width(model, posterior)
    residual: Array | None = None
    overlays: tuple[bytes, ...] = ()
    if selfies:
        result = enroll(list(selfies), pipeline)
        residual = landmark_residuals(result, pipeline)
        overlays = _overlays(result, model, overlay)
    distance: Array | None = None
    if visit is not None:
        frames = decode_visit(visit, limits=pipeline.image_limits)
        distance = depth_distance(frames, observe(frames, pipeline).fits, model, posterior)
        if distance is not None:
            distance = np.where(of_the_face(model, pipeline.landmark_model), distance, np.nan)
    return Inspection(
        width=width,
        regions=region_widths(model, pipeline.landmark_model, width),
        residual=residual,
        overlays=overlays,
        distance=distance,
        outcome=outcome,
    )


def _overlays(result: EnrollmentResult, model: MorphableModel, overlay: Overlay) -> tuple[bytes, ...]:
    if result.fit is None:
        return ()
    return tuple(
        overlay(selfie.image, fitted, result.fit.mesh(model, capture=number), model)
        for number, (selfie, fitted) in enumerate(zip(result.used, result.fit.captures, strict=True))
        if selfie.image is not None and number < MOST_OVERLAYS
    )

"""Depth frame -> evidence."""

from __future__ import annotations

from recon_service.depth.cleaning import clean_depth
from recon_service.depth.depth_only_start import FAR_MM, NEAR_MM, pose_from_depth, pose_near
from recon_service.depth.face_region import face_region, surface_normals
from recon_service.depth.landmark_start import pose_from_lifted
from recon_service.depth.sensors import noise_of
from recon_service.domain.arrays import Array
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.evidence import Capture, DepthSurfaceEvidence, Evidence, LandmarkEvidence
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.pose import HeadPose


def depth_capture(
    frame: DepthFrame,
    *,
    landmarks: FaceLandmarks | None,
    model: MorphableModel,
    landmark_model: LandmarkModel,
    last: HeadPose | None = None,
    clean: Array | None = None,
) -> Capture:
    """The evidence in one depth frame: its cleaned surface, and the landmarks of its aligned image where
    there are any.

    The fit starts from the landmarks lifted by depth, or from the depth alone. last: where the head was in
    the frame before; with it, depth alone is searched only if no face is near there. clean: what
    ``clean_depth`` made of the frame, where that was done already. Raises TooLittleDepth or NoFaceInDepth.
    """
    depth = clean_depth(frame.depth) if clean is None else clean
    noise = noise_of(frame.camera_name)
    start = None
    if landmarks is not None:
        start = pose_from_lifted(landmarks, depth, frame.camera, landmark_model)
    # Landmarks lifted to where nobody stands: the depth alone says whether there is a face at all.
    if start is None or not NEAR_MM < start.translation[2] < FAR_MM:
        start = pose_near(depth, frame.camera, model, last) if last is not None else None
    if start is None:
        start = pose_from_depth(depth, frame.camera, model)
    face = face_region(depth, frame.camera, start, model)
    evidence: list[Evidence] = [
        DepthSurfaceEvidence(face, noise.sd, noise.effective_points, surface_normals(face, frame.camera))
    ]
    if landmarks is not None:
        evidence.append(LandmarkEvidence(landmarks))
    return Capture(frame.camera_name, frame.camera, tuple(evidence), start=start)

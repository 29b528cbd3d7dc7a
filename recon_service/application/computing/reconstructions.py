"""Meshes of the selfies by a reconstruction backend, as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.ports.compute import FaceReconstructor
from recon_service.application.records.operations import LANDMARKS_ALONE
from recon_service.domain.errors import (
    BackendUnavailable,
    ModelMismatch,
    ReconError,
    WeightsUnavailable,
)
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.morphable_model import MorphableModel

if TYPE_CHECKING:
    from recon_service.application.computing.enroll import Selfie


def backend_of(pipeline: FacePipeline, name: str) -> FaceReconstructor | None:
    """The backend of that name; None for landmarks alone.

    Raises UnknownBackend, BackendUnavailable: what is missing, and the command that brings it.
    """
    if name == LANDMARKS_ALONE:
        return None
    if pipeline.reconstructors is None:
        raise BackendUnavailable("this service was put together without reconstruction backends")
    try:
        return pipeline.reconstructors(name)
    except WeightsUnavailable as missing:
        raise BackendUnavailable(missing.detail, next_step=missing.next_step) from missing


def surfaces_of(
    selfies: Sequence[Selfie], backend: FaceReconstructor | None, model: MorphableModel
) -> tuple[SurfacePoints, ...]:
    """The evidence in the backend's meshes of these selfies; one that it fails on has none.

    A network errs for a person alike in all pictures, so that several meshes together count as one.
    Raises BackendUnavailable where the correspondence with the model is missing.
    """
    if backend is None:
        return ()
    seen = [(s.image, s.face) for s in selfies if s.image is not None]
    faces = [
        outcome[0]
        for outcome in backend.reconstruct(seen)
        if not isinstance(outcome, ReconError) and len(outcome) > 0
    ]
    try:
        found = [backend.evidence(face, model) for face in faces]
    except (WeightsUnavailable, ModelMismatch) as missing:
        raise BackendUnavailable(missing.detail, next_step=missing.next_step) from missing
    return tuple(replace(points, inflation=points.inflation * len(found)) for points in found)

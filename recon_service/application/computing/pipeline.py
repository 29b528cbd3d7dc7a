"""Everything that looks at pixels and depth, assembled once per process by the composition root and passed
in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from recon_service.appearance.embedder import FaceEmbedder
from recon_service.application.ports.compute import FaceReconstructor
from recon_service.comparison.appearance import AppearanceMaps, load_appearance_maps
from recon_service.comparison.calibration import Calibration
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.landmark_model import LandmarkModel
from recon_service.domain.model_map import PosteriorMap
from recon_service.domain.morphable_model import MorphableModel
from recon_service.imaging.limits import ImageLimits
from recon_service.matching import SkinMatching
from recon_service.presentation_attack.limits import PresentationLimits
from recon_service.presentation_attack.minifasnet import MiniFasNet
from recon_service.quality.limits import QualityLimits


class FaceDetector(Protocol):
    """Finds faces, best first."""

    @property
    def name(self) -> str: ...

    def detect(self, image: Image) -> tuple[DetectedFace, ...]: ...


class FaceLandmarker(Protocol):
    """Finds the landmarks of a detected face."""

    name: str

    def landmarks(self, image: Image, face: DetectedFace) -> FaceLandmarks: ...


@dataclass(frozen=True, slots=True)
class FacePipeline:
    """The parts of the two sentences. Thread-safe: every part is immutable or locks inside.

    matcher: matches skin between the selfies of an enrollment; None: landmarks alone. embedder: gives the
    appearance of pictures; None: shape alone. presentation_limits: of the check for artefacts; None: no
    check; picture_networks look at its color pictures too. most_selfies: how many an enrollment uses, the
    best of every view where more were sent; more were measured to add nothing. reconstructors: gives a
    backend by name, loaded when first asked for; raises WeightsUnavailable or BackendUnavailable.
    posterior_maps: ways from other coefficient spaces to the model's, for templates that are carried over.
    """

    detector: FaceDetector
    landmarker: FaceLandmarker
    model: MorphableModel
    landmark_model: LandmarkModel
    calibration: Calibration
    matcher: SkinMatching | None = None
    embedder: FaceEmbedder | None = None
    reconstructors: Callable[[str], FaceReconstructor] | None = None
    image_limits: ImageLimits = field(default_factory=ImageLimits)
    quality_limits: QualityLimits = field(default_factory=QualityLimits)
    appearance_maps: AppearanceMaps = field(default_factory=load_appearance_maps)
    presentation_limits: PresentationLimits | None = field(default_factory=PresentationLimits)
    picture_networks: tuple[MiniFasNet, ...] = ()
    most_selfies: int = 5
    posterior_maps: tuple[PosteriorMap, ...] = ()

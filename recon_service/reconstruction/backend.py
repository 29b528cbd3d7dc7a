"""What a backend is to the registry: a name, what it may be used for, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from recon_service.domain.arrays import Array
from recon_service.domain.errors import ReconError
from recon_service.domain.evidence import SurfacePoints
from recon_service.domain.faces import DetectedFace, FaceLandmarks
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.reconstruction.session import Session, SessionOptions

Item = tuple[Image, DetectedFace | None]
Outcome = tuple[ReconstructedFace, ...] | ReconError


class FindsFaces(Protocol):
    """A face detector."""

    def detect(self, image: Image) -> tuple[DetectedFace, ...]: ...


class FindsLandmarks(Protocol):
    """A detector of FaceMesh's 468 landmarks."""

    def landmarks(self, image: Image, face: DetectedFace) -> FaceLandmarks: ...


class Reconstructor(Protocol):
    """The application's ``FaceReconstructor``, and what registration needs of it."""

    @property
    def name(self) -> str: ...

    def reconstruct(self, items: Sequence[Item]) -> tuple[Outcome, ...]: ...

    def evidence(self, face: ReconstructedFace, model: MorphableModel) -> SurfacePoints: ...

    def mean_surface(self) -> tuple[Mesh, Array]:
        """The neutral mean face, mm, head frame, and its 68 landmarks (68, 3)."""
        ...


class ModelFiles(Protocol):
    """Where verified model files are: the weight store, as the stages see it. Both raise
    WeightsUnavailable.
    """

    def locate(self, name: str) -> Path: ...

    def locate_derived(self, name: str) -> Path: ...


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """session: where networks run. crops: how many slightly displaced crops of a face are averaged (1: the
    original's single one). detector, landmarker: of the service, for backends without their own. networks:
    gives a network by name that runs in another process; None: they are loaded here.
    """

    session: SessionOptions = field(default_factory=SessionOptions)
    crops: int = 1
    detector: FindsFaces | None = None
    landmarker: FindsLandmarks | None = None
    networks: Callable[[str], Session] | None = None


GraphOf = Callable[[], bytes]
"""Makes the ONNX graph of a network from its file."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One entry of the registry.

    license: one line on what its files may be used for. correspondence: name of the derived file that joins
    it to the canonical model. load: raises WeightsUnavailable or BackendUnavailable with the next step.
    check: raises the same without loading networks; returns a remark on what it found (empty: nothing to
    say). networks: the graphs of its networks by name, for a process that runs them for others.
    """

    name: str
    title: str
    license: str
    correspondence: str
    load: Callable[[ModelFiles, BackendOptions], Reconstructor]
    check: Callable[[ModelFiles], str]
    networks: Callable[[ModelFiles], Mapping[str, GraphOf]]

"""What the backends with a crop, an encoder and a mesh of their own share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Generic

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, WeightsUnavailable
from recon_service.domain.evidence import SurfacePoints as SurfaceEvidence
from recon_service.domain.faces import DetectedFace
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.domain.reconstruction import ReconstructedFace
from recon_service.reconstruction.backend import BackendOptions, FindsFaces, Item, Outcome
from recon_service.reconstruction.encoders import Encoder
from recon_service.reconstruction.faces_of import C, Cut, Cuts, EncodedCrops, failure, jitter_of
from recon_service.reconstruction.surface_evidence import SurfaceNoise, evidence_of, load_surface_noise
from recon_service.registration import Correspondence


class EncodedBackend(ABC, Generic[C]):
    """See ``FaceReconstructor``. What a backend adds: its mesh, where it cuts, and what its encoder says.

    noise_file: of its surface's errors.
    """

    name: ClassVar[str]
    noise_file: ClassVar[Path]

    def __init__(
        self,
        *,
        encoder: Encoder,
        triangles: NDArray[np.int64],
        skin: NDArray[np.int64],
        correspondence: Callable[[], Correspondence] | None,
        options: BackendOptions,
    ) -> None:
        """triangles: of the whole head, skin: those of the face's skin. correspondence: with the canonical
        model, computed at the first need.
        """
        self._triangles, self._skin = triangles, skin
        self._jitter = jitter_of(options.crops)
        self._encoded = EncodedCrops(self.name, encoder, self.assemble, options.session.batch)
        self._load_correspondence = correspondence

    def reconstruct(self, items: Sequence[Item]) -> tuple[Outcome, ...]:
        """See ``FaceReconstructor``."""
        return self._encoded.outcomes(self._cuts(items))

    def evidence(self, face: ReconstructedFace, model: MorphableModel) -> SurfaceEvidence:
        """See ``FaceReconstructor``."""
        if face.backend != self.name:
            raise InvalidValue(f"a face by {face.backend} cannot be read as one by {self.name}")
        return evidence_of(self.surface(face), self.name, model, self._correspondence, self._noise)

    def surface(self, face: ReconstructedFace) -> Mesh:
        """The neutral face's skin, of ``mean_surface``'s triangles."""
        return Mesh(face.neutral.vertices, self._skin)

    @abstractmethod
    def mean_surface(self) -> tuple[Mesh, Array]:
        """The mean face's skin and the 68 landmarks on it (68, 3), millimeters, head frame: what is
        registered with the canonical model.
        """

    @abstractmethod
    def assemble(self, cut: Cut[C], outputs: NDArray[np.float32]) -> ReconstructedFace:
        """The face of the encoder's outputs (J, P) for a crop and its displaced copies. Raises InvalidValue
        where they are not finite.
        """

    @abstractmethod
    def _cuts(self, items: Sequence[Item]) -> Sequence[Cuts[C]]:
        """Of each item, in order; one that fails, fails alone."""

    @cached_property
    def _correspondence(self) -> Correspondence:
        if self._load_correspondence is None:
            raise WeightsUnavailable(
                f"The correspondence of {self.name} with the canonical model is not here.",
                next_step=f"Run: recon weights register {self.name}",
            )
        return self._load_correspondence()

    @cached_property
    def _noise(self) -> SurfaceNoise:
        return load_surface_noise(self.noise_file)


class DetectedBackend(EncodedBackend[C]):
    """One that has no face detector of its own: the service's finds the faces, picture by picture."""

    def __init__(
        self,
        *,
        encoder: Encoder,
        detector: FindsFaces,
        triangles: NDArray[np.int64],
        skin: NDArray[np.int64],
        correspondence: Callable[[], Correspondence] | None,
        options: BackendOptions,
    ) -> None:
        """detector: for items without a face. Else as ``EncodedBackend``."""
        super().__init__(
            encoder=encoder, triangles=triangles, skin=skin, correspondence=correspondence, options=options
        )
        self._detector = detector

    @abstractmethod
    def _cut(self, image: Image, face: DetectedFace) -> Cut[C]: ...

    def _cuts(self, items: Sequence[Item]) -> Sequence[Cuts[C]]:
        return [self._cuts_of(image, face) for image, face in items]

    def _cuts_of(self, image: Image, face: DetectedFace | None) -> Cuts[C]:
        try:
            faces = self._detector.detect(image) if face is None else (face,)
            return [self._cut(image, each) for each in faces]
        except Exception as fault:  # whatever it is, it must not take the others along
            return failure(self.name, fault)

"""The heavy part of the use cases, and the backends that it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from recon_service.application.records.operations import EnrollmentOutcome, SelfieReport
from recon_service.application.records.versions import VersionsCompared

if TYPE_CHECKING:  # the API process never loads what these modules need
    from recon_service.application.records.identifications import ObservedVisit
    from recon_service.application.records.inspections import Inspection
    from recon_service.application.records.probes import RecentProbe
    from recon_service.application.records.visits import KioskVisit, VerificationOutcome
    from recon_service.domain.errors import ReconError
    from recon_service.domain.evidence import SurfacePoints
    from recon_service.domain.faces import DetectedFace
    from recon_service.domain.images import Image
    from recon_service.domain.morphable_model import MorphableModel
    from recon_service.domain.reconstruction import ReconstructedFace
    from recon_service.domain.template import Template


Progress = Callable[[str, float], None]
"""Called with the stage's name and the share of the whole that is done, 0 to 1."""


class FaceReconstructor(Protocol):
    """A backend: pictures in, reconstructed faces out, and what a face says about the canonical model.

    Making one loads its model files: WeightsMissing, WeightsAltered or (non-commercial files that nobody
    allowed) WeightsNotAllowed, all of them WeightsUnavailable with the next step. Thread-safe.
    """

    @property
    def name(self) -> str: ...

    def reconstruct(
        self, items: Sequence[tuple[Image, DetectedFace | None]]
    ) -> tuple[tuple[ReconstructedFace, ...] | ReconError, ...]:
        """One outcome per item, in order, whatever else is in the batch: an item that fails, fails alone.

        With a face: that one. With None: every face that the backend's own detector finds, best first;
        empty where there is none.
        """
        ...

    def evidence(self, face: ReconstructedFace, model: MorphableModel) -> SurfacePoints:
        """The neutral face as evidence about the canonical model's identity. Raises WeightsUnavailable
        where the correspondence of the two models was not computed yet, with the command that does.
        """
        ...


class Compute(Protocol):
    """The heavy part of the use cases, wherever it runs. It runs under limits, so that every call raises
    Overloaded, TimeLimitReached, MemoryLimitReached or ComputeFault where they are met.
    """

    def reconstruct(
        self, selfies: Sequence[bytes], progress: Progress, *, backend: str
    ) -> EnrollmentOutcome: ...

    def check_quality(self, selfies: Sequence[bytes]) -> tuple[SelfieReport, ...]: ...

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome: ...

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        """What the visit says of the person before it, compared with nobody."""
        ...

    def mesh(self, template: Template) -> bytes:
        """The neutral face as binary glTF."""
        ...

    def inspect(self, template: Template, selfies: Sequence[bytes], visit: KioskVisit | None) -> Inspection:
        """How sure the template is where, how its selfies agree with it, how far a capture lies from it."""
        ...

    def compare_versions(
        self,
        pairs: Sequence[tuple[Template, Template]],
        probes: Sequence[Sequence[RecentProbe]] = (),
    ) -> VersionsCompared:
        """What changes from the first template of each pair to the second. probes: of each pair's subject."""
        ...

    def picture(self, template: Template) -> bytes:
        """The neutral face from three sides, as PNG."""
        ...

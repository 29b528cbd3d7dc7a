"""One person of a synthetic population as others see them: selfies, visits and the truth."""

from __future__ import annotations

from collections.abc import Sequence

from recon_service.domain.arrays import Array
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import Image
from recon_service.domain.mesh import Mesh
from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.person import Person
from recon_service.simulation.population.selfies import Photograph, guided, photograph
from recon_service.simulation.population.shape import DenseBasis
from recon_service.simulation.population.visits import Visit, VisitFrame
from recon_service.simulation.sensors import DepthSensor


class SyntheticSubject:
    """A person, the same for the same specification and index whatever else was asked for before.

    person: the body behind the pictures, for tests and drawings.
    """

    def __init__(self, person: Person, kept: Kept) -> None:
        self.person = person
        self._kept = kept

    @property
    def index(self) -> int:
        return self.person.index

    @property
    def identity_name(self) -> str:
        """Name of the person, stating the seed."""
        return f"synthetic-{self.person.spec.seed}-{self.index:05d}"

    def selfies(
        self, count: int = 5, *, yaws: Sequence[float] | None = None, degraded: bool = False
    ) -> list[Image]:
        """The first ``count`` guided selfies, or one for each of ``yaws`` (degrees, to the subject's left).

        degraded: as through a poor phone or a messenger; the pictures differ in nothing else.
        """
        return [p.image for p in self.photographs(count, yaws=yaws, degraded=degraded)]

    def photographs(
        self, count: int = 5, *, yaws: Sequence[float] | None = None, degraded: bool = False
    ) -> list[Photograph]:
        """The same selfies as files, with the truth about them."""
        return [
            photograph(self.person, number, angles, self._kept, degraded=degraded)
            for number, angles in enumerate(guided(count, yaws))
        ]

    def photograph(self, number: int, *, degraded: bool = False) -> Photograph:
        """The guided selfie ``number``, from 0, by itself."""
        angles = guided(number + 1, None)[number]
        return photograph(self.person, number, angles, self._kept, degraded=degraded)

    def visit(
        self, sensor: DepthSensor, visit_index: int = 0, frames: int = 3, *, images: bool = False
    ) -> list[DepthFrame]:
        """Frames of one visit to a depth camera, cropped around the head; images: with color pictures.

        The first frames of a longer visit are those of a shorter one.
        """
        return [v.frame for v in self.visit_frames(sensor, visit_index, frames, images=images)]

    def visit_frames(
        self, sensor: DepthSensor, visit_index: int = 0, frames: int = 3, *, images: bool = False
    ) -> list[VisitFrame]:
        """The same with the truth about each frame."""
        return [self.visit_frame(sensor, visit_index, number, images=images) for number in range(frames)]

    def visit_frame(
        self, sensor: DepthSensor, visit_index: int, number: int, *, images: bool = False
    ) -> VisitFrame:
        """The frame ``number`` of a visit, from 0, by itself."""
        return Visit(self.person, sensor, visit_index).frame(number, self._kept, images=images)

    @property
    def basis(self) -> DenseBasis:
        """The dense model that the face's vertices belong to."""
        return self.person.resources.basis

    def face(self, expression: Array | None = None) -> Mesh:
        """The true face, mm, head frame, on the dense model's vertices; expression: (56,), None: neutral."""
        return Mesh(self.person.shape.vertices(self.basis, expression), self.basis.triangles)

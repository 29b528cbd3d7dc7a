"""One person's body: shape, hair, skin, and the figure that a camera sees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from recon_service.domain.arrays import Array
from recon_service.simulation.population.anatomy import Figure, HairStyle, assembled, sample_hair
from recon_service.simulation.population.appearance import Floats
from recon_service.simulation.population.light import Occluder
from recon_service.simulation.population.resources import Resources
from recon_service.simulation.population.shape import HeadShape, sample_expression, sample_shape
from recon_service.simulation.population.skin import Skin, sample_skin
from recon_service.simulation.population.spec import PopulationSpec


@dataclass(frozen=True)
class Person:
    """The person ``index`` of a population; everything about them is drawn when first asked for, each from a
    stream of random numbers of its own.
    """

    spec: PopulationSpec
    resources: Resources
    index: int

    @cached_property
    def shape(self) -> HeadShape:
        return sample_shape(self.resources.basis, self.spec.shape, self.spec.random("shape", self.index))

    @cached_property
    def neutral(self) -> Array:
        """(V, 3) mm, head frame."""
        return self.shape.vertices(self.resources.basis)

    @cached_property
    def hair(self) -> HairStyle:
        return sample_hair(self.resources.basis, self.spec.random("anatomy", self.index))

    @cached_property
    def skin(self) -> Skin:
        hairline = self.resources.unwrapping.spread(self.hair.hairline)
        return sample_skin(self.resources.skin_plan, self.spec.random("skin", self.index), hairline=hairline)

    @cached_property
    def sky(self) -> Floats:
        """(K,) what each vertex of the figure sees of the sky, with a neutral face."""
        return Occluder(self.figure(None).mesh).sky()

    def figure(self, expression: Array | None) -> Figure:
        """The figure with the expression (56,)."""
        basis = self.resources.basis
        return assembled(basis, self.neutral, self.shape.vertices(basis, expression), self.hair)

    def expression(self, purpose: str, *numbers: int) -> Array:
        """(56,) an expression of this person, of the specification's strength."""
        rng = self.spec.random(purpose, self.index, *numbers)
        return sample_expression(self.resources.basis, rng, strength=self.spec.expression)

"""What all people of a population are made of: read and computed once per process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from recon_service.simulation.population.appearance import Floats
from recon_service.simulation.population.portraits import (
    dense_pipeline,
    free_portraits,
    unwrapped_portraits,
)
from recon_service.simulation.population.scan import scan_portrait
from recon_service.simulation.population.shape import DenseBasis
from recon_service.simulation.population.skin import SkinPlan, fine_tiles
from recon_service.simulation.population.spec import PopulationSpec
from recon_service.simulation.population.unwrapped import Unwrapping
from recon_service.weights import locate


@dataclass(frozen=True)
class Resources:
    """Model and portraits. Raises WeightsUnavailable, where a file is missing, when it is first needed."""

    spec: PopulationSpec

    @cached_property
    def basis(self) -> DenseBasis:
        return DenseBasis.load(locate("ict-face-model"))

    @cached_property
    def unwrapping(self) -> Unwrapping:
        return Unwrapping.of(self.basis)

    @cached_property
    def skin_plan(self) -> SkinPlan:
        details = unwrapped_portraits(self._portraits(), self.unwrapping, dense_pipeline())
        return SkinPlan.of(self.basis, self.unwrapping, details)

    @cached_property
    def tiles(self) -> Floats:
        return fine_tiles(self.spec.random("tiles"))

    def _portraits(self) -> Mapping[str, bytes]:
        folder = self.spec.texture_folder
        return free_portraits() | ({"scan": scan_portrait(Path(folder))} if folder else {})

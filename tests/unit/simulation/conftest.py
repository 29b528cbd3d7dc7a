"""A small population, where the dense model is."""

from __future__ import annotations

import pytest

from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

SMALL = PopulationSpec(seed=5, subjects=40, width=360, height=480)


@pytest.fixture(scope="session")
def population(weights_mirror):
    """Renders at a sixth of the usual number of pixels, without a cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RECON_WEIGHTS_DIR", str(weights_mirror))
    yield SyntheticPopulation(SMALL)
    patch.undo()


@pytest.fixture(scope="session")
def basis(population):
    return population.subject(0).basis

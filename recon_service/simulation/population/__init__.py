"""A seeded population of synthetic people, to measure how selfies and depth captures recognize each other.

>>> from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
>>> population = SyntheticPopulation(PopulationSpec(seed=7, subjects=100))
>>> population.subject(3).identity_name
'synthetic-7-00003'
"""

from __future__ import annotations

from recon_service.simulation.population.population import SyntheticPopulation
from recon_service.simulation.population.selfies import Photograph
from recon_service.simulation.population.spec import PopulationSpec, ShapeSpec
from recon_service.simulation.population.subject import SyntheticSubject
from recon_service.simulation.population.visits import VisitFrame

__all__ = [
    "Photograph",
    "PopulationSpec",
    "ShapeSpec",
    "SyntheticPopulation",
    "SyntheticSubject",
    "VisitFrame",
]

"""A population of people who do not exist."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from recon_service.domain.errors import InvalidValue
from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.person import Person
from recon_service.simulation.population.resources import Resources
from recon_service.simulation.population.spec import PopulationSpec
from recon_service.simulation.population.subject import SyntheticSubject

RECENT: Final = 4
"""So many people stay in memory, 20 MB each."""


class SyntheticPopulation:
    """Makes the subjects of a specification, each by itself and in any order or process.

    cache: a folder that keeps rendered files; None renders every time. The files are found again by the
    specification's key.
    """

    def __init__(self, spec: PopulationSpec, *, cache: Path | None = None) -> None:
        self.spec = spec
        self._cache = cache
        self._resources = Resources(spec)
        # Who asks for one selfie after the other should not have the skin painted anew each time.
        self._person = lru_cache(maxsize=RECENT)(lambda index: Person(spec, self._resources, index))

    def __len__(self) -> int:
        return self.spec.subjects

    def __iter__(self) -> Iterator[SyntheticSubject]:
        return (self.subject(index) for index in range(len(self)))

    def __reduce__(self) -> tuple[object, ...]:
        # Other processes read the model themselves: it is larger than reading it takes time.
        return _rebuilt, (self.spec, self._cache)

    def subject(self, index: int) -> SyntheticSubject:
        """Subject ``index``, from 0. Raises InvalidValue beyond the population's end."""
        if not 0 <= index < len(self):
            raise InvalidValue(f"there is no subject {index}; the population has {len(self)}")
        kept = Kept(self._cache).within(self.spec.key(), f"{index:05d}")
        return SyntheticSubject(self._person(index), kept)


def _rebuilt(spec: PopulationSpec, cache: Path | None) -> SyntheticPopulation:
    return SyntheticPopulation(spec, cache=cache)

"""Renders the people of the films: `python -m tests.browser.make_people`. They are kept beside this file so
that the browser's tests need neither the dense model nor half a minute.
"""

from __future__ import annotations

from pathlib import Path

from recon_service.simulation.population.kept import Kept
from recon_service.simulation.population.population import SyntheticPopulation
from recon_service.simulation.population.selfies import photograph
from recon_service.simulation.population.spec import PopulationSpec
from tests.browser.camera import FOLDER, HEIGHT, POSES, WIDTH, file_of

SEED = 11
PEOPLE = {1: tuple(POSES.values()), 3: (POSES["front"],)}
"""Number of the person, and the poses that the films need."""


def main() -> None:
    population = SyntheticPopulation(PopulationSpec(seed=SEED, subjects=8, width=WIDTH, height=HEIGHT))
    Path(FOLDER).mkdir(exist_ok=True)
    for index, poses in PEOPLE.items():
        person = population.subject(index).person
        for yaw, pitch in poses:
            number = round(10_000 + yaw + 100 * pitch)
            taken = photograph(person, number, (yaw, pitch), Kept(None), degraded=False)
            name = next(name for name, pose in POSES.items() if pose == (yaw, pitch))
            file_of(index, name).write_bytes(taken.content)


if __name__ == "__main__":
    main()

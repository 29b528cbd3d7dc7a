"""The synthetic population as a dataset: rendered selfies enroll, simulated depth cameras see the visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from recon_service.domain.depth_frame import DepthFrame
from recon_service.evaluation.dataset import Dataset, Item, Medium
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation
from recon_service.simulation.sensors import DepthSensor, Stereo, StructuredLight, TimeOfFlight

SELFIES = 15
VISITS = 2
FRAMES = 3
NOTES = (
    "The people are rendered: the rates compare versions of the code, and do not tell how real people fare.",
    "Selfies are one guided session (frontal, then turned to both sides) with one phone in one place.",
    "Depth frames come in two visits of three frames, by a simulated sensor.",
)


class Sensor(StrEnum):
    """The simulated depth cameras."""

    STEREO = "stereo"
    STRUCTURED_LIGHT = "structured-light"
    TIME_OF_FLIGHT = "time-of-flight"

    def made(self) -> DepthSensor:
        """With its usual errors."""
        kinds = {
            Sensor.STEREO: Stereo,
            Sensor.STRUCTURED_LIGHT: StructuredLight,
            Sensor.TIME_OF_FLIGHT: TimeOfFlight,
        }
        return kinds[self]()


@dataclass(frozen=True, slots=True)
class SyntheticPerson:
    """One subject of a population. cache: folder of rendered files, or None."""

    spec: PopulationSpec
    index: int
    sensor: Sensor
    degraded: bool
    images: bool
    cache: Path | None

    @property
    def name(self) -> str:
        return f"synthetic-{self.spec.seed}-{self.index:05d}"

    def items(self) -> Sequence[Item]:
        selfies = [
            Item(Medium.IMAGE, f"{number}", "selfies", f"selfie {number}", rank=number)
            for number in range(SELFIES)
        ]
        frames = [
            Item(Medium.DEPTH, f"{visit}/{number}", f"visit {visit}", f"visit {visit}", rank=number)
            for visit in range(VISITS)
            for number in range(FRAMES)
        ]
        return [*selfies, *frames]

    def fingerprint(self, item: Item) -> str:
        what = f"{self.degraded}" if item.medium is Medium.IMAGE else f"{self.sensor.made()!r}/{self.images}"
        return f"{self.spec.key()}/{self.index}/{item.medium}/{item.label}/{what}"

    def picture(self, item: Item) -> bytes:
        """The selfie's JPEG file."""
        number = int(item.label)
        subject = _population(self.spec, self.cache).subject(self.index)
        return subject.photographs(number + 1, degraded=self.degraded)[number].content

    def frame(self, item: Item) -> DepthFrame:
        visit, number = map(int, item.label.split("/"))
        subject = _population(self.spec, self.cache).subject(self.index)
        frames = subject.visit(self.sensor.made(), visit, number + 1, images=self.images)
        return frames[number]


def synthetic(
    spec: PopulationSpec,
    *,
    sensor: Sensor = Sensor.STRUCTURED_LIGHT,
    degraded: bool = False,
    images: bool = False,
    cache: Path | None = None,
) -> Dataset:
    """The population of ``spec`` before a sensor. degraded: selfies through a poor phone. images: depth
    frames come with a color picture.
    """
    people = [SyntheticPerson(spec, index, sensor, degraded, images, cache) for index in range(spec.subjects)]
    name = f"synthetic-{spec.seed}{'-degraded' if degraded else ''}"
    return Dataset(name, sensor.made().name, people, NOTES)


@cache
def _population(spec: PopulationSpec, folder: Path | None) -> SyntheticPopulation:
    """One per process: it reads model and portraits once."""
    return SyntheticPopulation(spec, cache=folder)

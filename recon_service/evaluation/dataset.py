"""What a dataset has to offer: people, and the pictures and depth frames that were recorded of each.

A recorded item is named first and read later, in the process that looks at it; so everything here travels
between processes and is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import InvalidValue
from recon_service.imaging.limits import ImageLimits
from recon_service.quality.limits import QualityLimits


class Medium(StrEnum):
    """What was recorded."""

    IMAGE = "image"
    DEPTH = "depth"


@dataclass(frozen=True, slots=True)
class Item:
    """One picture or one depth frame of a person.

    label: its name among the items of its medium. visit: items of one visit may be taken together. group:
    what the two sides of a comparison must not share (a moment, or a pose where all was recorded in one
    session). pose: how the head was turned, as the dataset calls it, or None where it is not known. rank: its
    place in a guided session, of which a sample takes the first items instead of any.
    """

    medium: Medium
    label: str
    visit: str
    group: str
    pose: str | None = None
    rank: int | None = None


class Subject(Protocol):
    """One person of a dataset."""

    @property
    def name(self) -> str: ...

    def items(self) -> Sequence[Item]:
        """All that was recorded, in an order that does not change."""
        ...

    def fingerprint(self, item: Item) -> str:
        """A digest of the item's content: what was observed of it is kept under this."""
        ...

    def picture(self, item: Item) -> bytes:
        """The bytes of the image file."""
        ...

    def frame(self, item: Item) -> DepthFrame:
        """The depth frame."""
        ...


@dataclass(frozen=True, slots=True)
class Dataset:
    """People before one depth sensor, and the limits of the gate for their pictures.

    notes: what a reader of the figures has to know of the recordings, a sentence each.
    """

    name: str
    sensor: str
    subjects: Sequence[Subject]
    notes: tuple[str, ...] = ()
    quality_limits: QualityLimits = field(default_factory=QualityLimits)
    image_limits: ImageLimits = field(default_factory=ImageLimits)

    def __post_init__(self) -> None:
        names = [subject.name for subject in self.subjects]
        if len(names) < 2 or len(set(names)) != len(names):
            raise InvalidValue(
                f"the dataset {self.name} has {len(set(names))} people: comparisons need at least two",
                next_step="Name the folder that holds one folder per person.",
            )

    def first(self, count: int) -> Dataset:
        """The same with its first ``count`` people only."""
        return Dataset(
            self.name,
            self.sensor,
            self.subjects[:count],
            self.notes,
            self.quality_limits,
            self.image_limits,
        )

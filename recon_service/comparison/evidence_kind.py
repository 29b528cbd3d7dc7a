"""What a side of a comparison rests on: the key under which a calibration knows how it errs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recon_service.domain.errors import InvalidValue

GENERIC = "generic"
"""An origin that no calibration set had."""
DEPTH = "depth"
LEAST_KNOWN = "facemesh468"
"""Landmarks of pictures: what pictures that were observed in an unknown way are taken for."""


@dataclass(frozen=True, slots=True, order=True)
class EvidenceKind:
    """So many captures of one origin, observed in one way.

    family: how they were observed ("depth", "selfies-photometric", "facemesh468"). origin: the depth camera,
    or the light of pictures ("visible", "infrared"). captures: how many.
    """

    family: str
    origin: str
    captures: int

    def __post_init__(self) -> None:
        if not self.family or not self.origin or "/" in self.family + self.origin or self.captures < 1:
            raise InvalidValue(f"{self.family!r}, {self.origin!r}, {self.captures} is no kind of evidence")

    @classmethod
    def of(cls, source: str, captures: int) -> EvidenceKind:
        """source: ``family/origin`` as a template keeps it, or the family alone."""
        family, _, origin = source.partition("/")
        return cls(family, origin or GENERIC, captures)

    @classmethod
    def depth(cls, camera: str, captures: int) -> EvidenceKind:
        """Depth frames of a camera."""
        return cls(DEPTH, camera, captures)

    @classmethod
    def parse(cls, key: str) -> EvidenceKind:
        """The inverse of ``str``."""
        family, origin, captures = key.split("/")
        return cls(family, origin, int(captures))

    def __str__(self) -> str:
        return f"{self.family}/{self.origin}/{self.captures}"

    @property
    def source(self) -> str:
        """``family/origin``."""
        return f"{self.family}/{self.origin}"

    @property
    def general(self) -> EvidenceKind:
        """The same of an unknown origin."""
        return replace(self, origin=GENERIC)

    @property
    def least(self) -> EvidenceKind:
        """The weakest that it may be: for depth itself, for pictures a single one seen by landmarks."""
        return self if self.family == DEPTH else EvidenceKind(LEAST_KNOWN, self.origin, 1)

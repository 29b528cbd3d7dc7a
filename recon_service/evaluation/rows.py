"""Rows of a result, named ``<enrollment>-<probe>``: ``image5-depth3`` enrolls five pictures and compares a
visit of three depth frames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.dataset import Medium

KINDS = {"image": Medium.IMAGE, "landmarks": Medium.IMAGE, "depth": Medium.DEPTH, "depthonly": Medium.DEPTH}
"""What a side can be made of. A new kind is a line here and one in ``observing.OBSERVERS``."""

DEFAULT_ROWS = (
    "image1-depth1",
    "image1-depth3",
    "image3-depth3",
    "image5-depth3",
    "depth1-depth1",
    "depth3-depth3",
)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: so many items of one kind, observed together."""

    kind: str
    count: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.count < 1:
            raise InvalidValue(
                f"{self.kind}{self.count} is no side of a comparison",
                next_step=f"Use a number of {', '.join(KINDS)}: image5, depth3.",
            )

    @property
    def medium(self) -> Medium:
        return KINDS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind}{self.count}"


@dataclass(frozen=True, slots=True)
class Row:
    """Enrollment against probe."""

    reference: Side
    probe: Side

    @classmethod
    def parse(cls, name: str) -> Row:
        """``image5-depth3`` and the like; ``fused5-1`` stands for ``image5-depth1``, where shape and
        appearance are fused if a network for appearance is at hand. Raises InvalidValue.
        """
        name = re.sub(r"^fused(\d+)-(\d+)$", r"image\1-depth\2", name)
        sides = re.fullmatch(r"([a-z]+)(\d+)-([a-z]+)(\d+)", name)
        if sides is None:
            raise InvalidValue(
                f"{name!r} is no row", next_step=f"Rows look like {DEFAULT_ROWS[3]}: <enrollment>-<probe>."
            )
        kind, count, probe, probe_count = sides.groups()
        return cls(Side(kind, int(count)), Side(probe, int(probe_count)))

    def __str__(self) -> str:
        return f"{self.reference}-{self.probe}"

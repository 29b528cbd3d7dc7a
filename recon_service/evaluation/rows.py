"""Rows of a result, named ``<enrollment>-<probe>``: ``image5-depth3`` enrolls five pictures and compares a
visit of three depth frames. ``landmarks5+tddfa_v2-depth3`` takes the backend's meshes of the pictures as
further evidence. ``strengthened5-depth3`` enrolls five pictures, strengthens that by one visit of as many
depth frames as the probe has, and compares another visit with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.dataset import Medium

STRENGTHENED = "strengthened"
KINDS = {
    "image": Medium.IMAGE,
    "landmarks": Medium.IMAGE,
    "depth": Medium.DEPTH,
    "depthonly": Medium.DEPTH,
    # Compared with a visit is what the visit before saw.
    STRENGTHENED: Medium.DEPTH,
}
"""What a side can be made of. A new kind is a line here and one in ``observing.OBSERVERS``."""

DEFAULT_ROWS = (
    "image1-depth1",
    "image1-depth3",
    "image3-depth3",
    "image5-depth3",
    "depth1-depth1",
    "depth3-depth3",
)
PICTURED_ROWS = (*DEFAULT_ROWS, "image5-image1", "fused5-1")
"""Where the depth camera takes pictures too."""


def split_kind(kind: str) -> tuple[str, str]:
    """What is observed, and the reconstruction backend that takes part; empty: none."""
    base, _, backend = kind.partition("+")
    return base, backend


def medium_of(kind: str) -> Medium:
    """What the items of that kind are."""
    return KINDS[split_kind(kind)[0]]


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: so many items of one kind, observed together.

    kind: one of ``KINDS``; of pictures, ``image+BACKEND`` too.
    """

    kind: str
    count: int

    def __post_init__(self) -> None:
        base, backend = split_kind(self.kind)
        if base not in KINDS or self.count < 1 or (backend and KINDS[base] is not Medium.IMAGE):
            raise InvalidValue(
                f"{self} is no side of a comparison",
                next_step=f"Use a number of {', '.join(KINDS)}: image5, depth3, image5+tddfa_v2.",
            )

    @property
    def medium(self) -> Medium:
        return medium_of(self.kind)

    @property
    def backend(self) -> str:
        """The reconstruction backend that takes part; empty: none."""
        return split_kind(self.kind)[1]

    def __str__(self) -> str:
        base, backend = split_kind(self.kind)
        return f"{base}{self.count}{'+' if backend else ''}{backend}"


@dataclass(frozen=True, slots=True)
class Row:
    """Enrollment against probe. fused: named ``fused5-1``; shape and appearance are judged together."""

    reference: Side
    probe: Side
    fused: bool = False

    @classmethod
    def parse(cls, name: str) -> Row:
        """``image5-depth3`` and the like. ``fused5-1`` compares what ``image5-depth1`` does, by shape and
        appearance together. Raises InvalidValue.
        """
        if counts := re.fullmatch(r"fused(\d+)-(\d+)", name):
            return cls(Side("image", int(counts[1])), Side("depth", int(counts[2])), fused=True)
        backend = r"(\+[a-z][a-z0-9_]*)?"
        sides = re.fullmatch(rf"([a-z]+)(\d+){backend}-([a-z]+)(\d+){backend}", name)
        if sides is None:
            raise InvalidValue(
                f"{name!r} is no row", next_step=f"Rows look like {DEFAULT_ROWS[3]}: <enrollment>-<probe>."
            )
        kind, count, mesh, probe, probe_count, probe_mesh = sides.groups(default="")
        return cls(Side(kind + mesh, int(count)), Side(probe + probe_mesh, int(probe_count)))

    def __post_init__(self) -> None:
        if self.probe.kind == STRENGTHENED or (self.strengthened and self.probe.kind != "depth"):
            raise InvalidValue(
                f"{self} is no row", next_step="Strengthened are references: strengthened5-depth3."
            )

    @property
    def strengthened(self) -> bool:
        """Whether the reference is an enrollment and a visit."""
        return self.reference.kind == STRENGTHENED

    @property
    def one_kind(self) -> bool:
        """Whether both sides are observed in the same way, and share a mean."""
        return self.reference == self.probe or self.strengthened

    @property
    def leads_with_appearance(self) -> bool:
        """Whether the row is about more than shape: its first score is then the fused one."""
        return self.fused or self.reference.medium is self.probe.medium is Medium.IMAGE

    def __str__(self) -> str:
        if self.fused:
            return f"fused{self.reference.count}-{self.probe.count}"
        return f"{self.reference}-{self.probe}"

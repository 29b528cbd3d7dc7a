"""Whether a living face is before the camera or an artefact: the words of ISO/IEC 30107-3 (bona fide
presentation, presentation attack).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon_service.domain.errors import InvalidValue

EVEN = 0.5


@dataclass(frozen=True, slots=True)
class PresentationMeasure:
    """One thing that was looked at.

    name: stable. value, unit: what was measured. limit: below it an attack is likelier. bona_fide: 0 to 1, at
    the limit one half. hint: what a person who is no attacker can do about a low value.
    """

    name: str
    value: float
    unit: str
    limit: float
    bona_fide: float
    hint: str

    def __post_init__(self) -> None:
        if not np.isfinite([self.value, self.limit]).all() or not 0 <= self.bona_fide <= 1:
            raise InvalidValue("a presentation measure needs finite numbers and a share")


@dataclass(frozen=True, slots=True)
class PresentationResult:
    """What the measures say together: the least of them decides, since an artefact that fails one of them is
    an artefact. Without any measure nothing is known, and nothing is claimed.
    """

    measures: tuple[PresentationMeasure, ...]

    @property
    def bona_fide(self) -> float | None:
        """0 to 1; None if nothing was measured."""
        return min((m.bona_fide for m in self.measures), default=None)

    @property
    def attack(self) -> bool:
        return self.bona_fide is not None and self.bona_fide < EVEN

    @property
    def reasons(self) -> tuple[tuple[str, str], ...]:
        """Code and hint of every measure that speaks of an attack, the clearest first."""
        against = sorted((m for m in self.measures if m.bona_fide < EVEN), key=lambda m: m.bona_fide)
        return tuple((f"presentation-{m.name}", m.hint) for m in against)

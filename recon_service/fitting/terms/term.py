"""What every term gives the solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from recon_service.fitting.normal_equations import NormalEquations
from recon_service.fitting.unknowns import State


@dataclass(frozen=True, slots=True)
class TermReport:
    """squared: sum of squared whitened residuals. count: their number. points: how many points took part.
    residual_mm: robust rms in mm where the residual is a distance, else None.
    """

    squared: float
    count: int
    points: int
    residual_mm: float | None = None


class Term(Protocol):
    """One piece of evidence, ready to be linearized again and again."""

    @property
    def capture(self) -> int | None:
        """The capture that it belongs to, None if it joins several."""
        ...

    def accumulate(self, state: State, equations: NormalEquations, *, iteration: int) -> TermReport:
        """Add this evidence, linearized at ``state``, to the equations. ``iteration`` counts from 0: gates
        narrow with it.
        """
        ...

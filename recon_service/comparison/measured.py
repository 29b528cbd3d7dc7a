"""How a kind of evidence, or several together, did on people that nothing was learned from."""

from __future__ import annotations

from dataclasses import dataclass

from recon_service.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Measured:
    """How a pair of kinds did on people that it was not learned on.

    dataset: who. people, pairs: of people. genuine, impostor: comparisons (mated and non-mated). cllr,
    min_cllr: bits. thresholds: (n,) rising log-likelihood ratios. false_matches: (n,) of the pairs of people,
    how many matched falsely at each threshold (a pair of which a tenth of the comparisons match counts 0.1).
    false_non_matches: (n,) share of genuine comparisons. cllr_before: bits, of the model's own ratio, before
    the map; None where there is no such.
    """

    dataset: str
    people: int
    pairs: int
    genuine: int
    impostor: int
    eer: float
    cllr: float
    min_cllr: float
    thresholds: tuple[float, ...]
    false_matches: tuple[float, ...]
    false_non_matches: tuple[float, ...]
    cllr_before: float | None = None

    def __post_init__(self) -> None:
        if not len(self.thresholds) == len(self.false_matches) == len(self.false_non_matches):
            raise InvalidValue("an operating table has a rate for every threshold")

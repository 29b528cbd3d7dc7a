"""What the demo measured: scores of genuine and impostor comparisons, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recon_service.evaluation.metrics import area_under_curve


@dataclass(frozen=True, slots=True)
class Comparison:
    """One reference against one probe. decision: None where no policy was asked."""

    reference: str
    probe: str
    score: float | None
    decision: str | None = None

    @property
    def genuine(self) -> bool:
        return self.reference == self.probe


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of comparison. people: who took part. what: was compared. notes: how far it can be trusted."""

    people: str
    what: str
    notes: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    def scores(self, *, genuine: bool) -> list[float]:
        """The scores there are."""
        return [c.score for c in self.comparisons if c.genuine == genuine and c.score is not None]

    def order(self) -> float | None:
        """Probability that a genuine score lies above an impostor's (area under the curve), None without
        both.
        """
        genuine, impostor = self.scores(genuine=True), self.scores(genuine=False)
        return area_under_curve(np.array(genuine), np.array(impostor)) if genuine and impostor else None


def print_matrix(console: Console, trial: Trial) -> None:
    """References down, probes across; the diagonal is genuine."""
    probes = list(dict.fromkeys(c.probe for c in trial.comparisons))
    table = _table(f"{trial.people}: {trial.what}")
    table.add_column("enrolled \\ seen", no_wrap=True)
    for probe in probes:
        table.add_column(probe, justify="right", no_wrap=True)
    for reference in dict.fromkeys(c.reference for c in trial.comparisons):
        row = {c.probe: c for c in trial.comparisons if c.reference == reference}
        table.add_row(reference, *(_cell(row[p]) if p in row else "" for p in probes))
    console.print(table)


def print_summary(console: Console, trials: list[Trial]) -> None:
    """One line per trial: median and range of both kinds of scores, and how often they are in order."""
    table = Table(
        title="summary", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("people", no_wrap=True)
    table.add_column("compared", min_width=12)
    for heading in ("genuine", "impostor", "in order", "right"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trial in trials:
        order = trial.order()
        table.add_row(
            trial.people,
            trial.what,
            _spread(trial.scores(genuine=True)),
            _spread(trial.scores(genuine=False)),
            "" if order is None else f"{order:.0%}",
            _decisions(trial),
        )
    console.print(table)
    console.print(
        "genuine, impostor: median score (least to greatest). in order: how often a genuine score lies above"
        " an impostor's; 50% is chance. right: decisions of the service that were right, '?' is not.",
        highlight=False,
        markup=False,
    )
    for note in dict.fromkeys(note for trial in trials for note in trial.notes):
        console.print(f"- {note}", highlight=False, markup=False)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def _cell(comparison: Comparison) -> str:
    score = "no score" if comparison.score is None else f"{comparison.score:+.1f}"
    mark = {"MATCH": " match", "NO_MATCH": " no", "INCONCLUSIVE": " ?"}.get(comparison.decision or "", "")
    return f"[bold]{score}{mark}[/]" if comparison.genuine else f"{score}{mark}"


def _spread(scores: list[float]) -> str:
    if not scores:
        return "-"
    return f"{np.median(scores):+.0f} ({min(scores):+.0f} to {max(scores):+.0f})"


def _decisions(trial: Trial) -> str:
    decided = [c for c in trial.comparisons if c.decision is not None]
    right = sum(c.decision == ("MATCH" if c.genuine else "NO_MATCH") for c in decided)
    return f"{right}/{len(decided)}" if decided else ""

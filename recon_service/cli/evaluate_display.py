"""What `recon evaluate` prints: its table, why figures are missing, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from recon_service.evaluation.harness import Report
from recon_service.evaluation.result import EvaluationResult, RowResult
from recon_service.evaluation.scores import Calibration

ORIGIN = {
    Calibration.NONE: "",
    Calibration.RELEASED: " (released)",
    Calibration.CROSS_VALIDATED: " (learned)",
}


def table(result: EvaluationResult) -> Table:
    """The rows for people, in percent."""
    printed = Table(
        title=f"{result.dataset}: {result.people} people, {result.model}",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in ("row", "score"):
        printed.add_column(column, no_wrap=True)
    for column in (
        "genuine",
        "impostor",
        "EER %",
        "95 %",
        "FNMR %\nat FMR 1 %",
        "\nat 0.1 %",
        "AUC",
        "Cllr",
        "min",
        "FTE %",
        "FTA %",
    ):
        printed.add_column(column, justify="right", no_wrap=True)
    for row in result.rows:
        for cells in _lines(row):
            printed.add_row(*cells)
        printed.add_section()
    printed.caption = "\n".join(refusals(result))
    printed.caption_justify = "left"
    return printed


def refusals(result: EvaluationResult) -> list[str]:
    """Why figures are missing, each reason once."""
    reasons = [
        reason
        for row in result.rows
        for reason in (row.refused, *(score.refused for score in row.scores))
        if reason
    ]
    points = [
        f"{row.name}, FMR {point}: {reason}"
        for row in result.rows
        for score in row.scores[-1:]
        if score.rates is not None
        for point, reason in score.rates.refused.items()
    ]
    return [f"–  {line}" for line in dict.fromkeys([*reasons, *points])]


def _lines(row: RowResult) -> Iterator[list[str]]:
    genuine = int(row.genuine.sum())
    if row.refused:
        yield [row.name, "–"]
    for number, score in enumerate(row.scores):
        first = number == 0
        head = [row.name if first else "", f"{score.name}{ORIGIN[score.calibration]}"]
        head += [f"{genuine:,}", f"{len(row.genuine) - genuine:,}"] if first else ["", ""]
        if score.rates is None:
            yield [*head, "–"]
            continue
        r = score.rates
        yield [
            *head,
            f"{100 * r.eer:.1f}",
            "–".join(f"{100 * x:.1f}" for x in r.intervals["eer"] or ()),
            *("–" if share is None else f"{100 * share:.1f}" for share in r.fnmr.values()),
            f"{r.auc:.4f}",
            "" if r.cllr is None else f"{r.cllr:.2f}",
            f"{r.min_cllr:.2f}",
            f"{100 * row.references.failure_rate:.1f}" if first else "",
            f"{100 * row.probes.failure_rate:.1f}" if first else "",
        ]


@contextmanager
def progress_bar(console: Console) -> Iterator[Report]:
    """One line on standard error; where that is no terminal, a line now and then."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        plain = _sparse(console)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)
            if not console.is_terminal:
                plain(what, done, total)

        yield report


def _sparse(console: Console) -> Callable[[str, int, int], None]:
    last = ["", -1]

    def say(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if [what, tenth] != last:
            last[:] = [what, tenth]
            console.print(f"{what} {done}/{total}", highlight=False, markup=False, soft_wrap=True)

    return say

"""One line of progress on standard error; where that is no terminal, a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@contextmanager
def progress_bar(console: Console) -> Iterator[Report]:
    """A bar that is gone afterwards."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        last = ["", -1]

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)
            tenth = 10 * done // max(total, 1)
            if not console.is_terminal and [what, tenth] != last:
                last[:] = [what, tenth]
                console.print(f"{what} {done}/{total}", highlight=False, markup=False, soft_wrap=True)

        yield report

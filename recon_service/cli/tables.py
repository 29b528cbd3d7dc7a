"""Lists with identifiers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDEST = 2000


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    colors: dict[str, str] | None = None,
) -> None:
    """As wide as it is: an identifier that is cut off can neither be copied nor searched for, so that a
    narrow terminal breaks the lines by itself. What is in the rows is shown as it is. colors: of whole cells.
    """
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    table.title, table.title_justify = title or None, "left"
    for row in rows:
        table.add_row(*(Text(cell, style=(colors or {}).get(cell, "")) for cell in row))
    Console(width=WIDEST, soft_wrap=True).print(table)

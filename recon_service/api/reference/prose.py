"""The little of Markdown that descriptions of the API are written in, as HTML: paragraphs, lists, headings,
tables, code and stress. All else is text, and escaped.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_CODE = re.compile(r"`([^`]+)`")
_STRESS = re.compile(r"\*\*([^*]+)\*\*")
_RULE = re.compile(r"[|\s:-]+")


def inline(text: str) -> Markup:
    """One line of text."""
    marked = _CODE.sub(r"<code>\1</code>", str(escape(text)))
    return Markup(_STRESS.sub(r"<strong>\1</strong>", marked))


def prose(text: str) -> Markup:
    """Several paragraphs."""
    return Markup("\n").join(_block(block) for block in re.split(r"\n\s*\n", text.strip()) if block)


def _block(block: str) -> Markup:
    lines = [line.strip() for line in block.splitlines()]
    if lines[0].startswith("#"):
        return Markup("<h3>{}</h3>").format(inline(lines[0].lstrip("# ")))
    if all(line.startswith("|") for line in lines):
        return _table(lines)
    if lines[0].startswith("- "):
        items = re.split(r"(?m)^- ", "\n".join(lines))[1:]
        return Markup("<ul>{}</ul>").format(
            Markup().join(Markup("<li>{}</li>").format(inline(" ".join(item.split()))) for item in items)
        )
    return Markup("<p>{}</p>").format(inline(" ".join(lines)))


def _table(lines: list[str]) -> Markup:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if not _RULE.fullmatch(line)
    ]
    head, *rest = rows
    return Markup("<table><thead>{}</thead><tbody>{}</tbody></table>").format(
        _row(head, "th"), Markup().join(_row(cells, "td") for cells in rest)
    )


def _row(cells: list[str], tag: str) -> Markup:
    opened, closed = Markup(f"<{tag}>"), Markup(f"</{tag}>")
    return Markup("<tr>{}</tr>").format(Markup().join(opened + inline(cell) + closed for cell in cells))

"""What the documents point at exists: files, headings, commands and their options, the list of decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command_lines import unknown_words

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("weights/*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?recon [a-z]")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_to_copy_exist_with_their_options(page: Path) -> None:
    for block in FENCE.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            if COMMAND.match(line):
                assert unknown_words(re.split(r"\s{3,}", line)[0]) == [], line


def test_every_decision_is_in_the_list_under_its_title() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text()
    for record in sorted(ROOT.glob("docs/adr/0*.md")):
        title = record.read_text().partition("\n")[0].removeprefix("# ")
        assert f"[{title}]({record.name})" in listed, f"add it to docs/adr/README.md: {record.name}"


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = (ROOT / "docs/README.md").read_text()
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed, page.name

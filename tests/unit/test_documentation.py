"""What the documents point at exists: files, headings, commands and their options, settings and their
defaults, endpoints, metrics, decisions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recon_service.setting_names import READ_ELSEWHERE
from recon_service.settings import Settings, known_names
from recon_service.telemetry.names import NAMES
from tests.command_lines import unknown_words

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("weights/*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"```[a-z]*\n(.*?)```", re.DOTALL)
GUIDE = [page for page in PAGES if page.parent.name != "adr"]
CODE = re.compile(r"`([^`]+)`")
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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_files_that_sentences_name_exist(page: Path) -> None:
    """Of the repository, of the package, or of its use cases; adr/0110 stands for the one of that number."""
    bases = (ROOT, ROOT / "recon_service", ROOT / "recon_service/application", page.parent)
    sentences = FENCE.sub("", page.read_text())
    named = re.findall(
        r"`((?:[\w.*-]+/)+[\w.*-]+\.(?:py|toml|md|yml|yaml|json|sh|ts|css|html)|docs/adr/\d{4})`", sentences
    )
    named += re.findall(r"\b(?:benchmarks|scripts|docs/pictures)/[\w/]+\.py", page.read_text())
    for path in named:
        made_here = path.startswith(("dist/", "recon_service/reconstruction/BACKEND"))
        assert made_here or any(list(base.glob(f"{path}*")) for base in bases), path


def test_every_decision_is_in_the_list_under_its_title() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text()
    for record in sorted(ROOT.glob("docs/adr/0*.md")):
        title = record.read_text().partition("\n")[0].removeprefix("# ")
        assert f"[{title}]({record.name})" in listed, f"add it to docs/adr/README.md: {record.name}"


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = (ROOT / "docs/README.md").read_text()
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed, page.name


@pytest.mark.parametrize("page", GUIDE, ids=name)
def test_the_commands_in_sentences_exist(page: Path) -> None:
    sentences = FENCE.sub("", page.read_text())
    for code in CODE.findall(sentences):
        line = " ".join(code.split()).replace("…", "")
        if COMMAND.match(line):
            assert [word for word in unknown_words(line) if word in line] == [], line


@pytest.mark.parametrize("page", GUIDE, ids=name)
def test_the_targets_of_make_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets


def test_every_setting_is_told_and_every_one_that_is_told_exists() -> None:
    told = {word for page in GUIDE for word in re.findall(r"RECON_[A-Z0-9_]+[A-Z0-9]", page.read_text())}
    beginnings = {word for word in told if any(known.startswith(f"{word}_") for known in known_names())}
    assert told - beginnings <= set(known_names())
    of_compose = {word for word in READ_ELSEWHERE if word in (ROOT / "docker-compose.yml").read_text()}
    assert set(known_names()) - told - of_compose == {"RECON_ORBBEC", "RECON_TORCH"}  # in `make`


def defaults_told(page: Path) -> list[tuple[str, str]]:
    """Setting and default, of tables whose second column is called so."""
    found = []
    for table in re.findall(
        r"^\| [a-z]+ \| default \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.read_text(), re.MULTILINE
    ):
        for row in table.splitlines():
            first, second = (cell.strip() for cell in row.split("|")[1:3])
            settings = re.findall(r"`RECON_([A-Z0-9_]+)`", first)
            values = [value.strip(" `") for value in second.split(", ")]
            found += zip(settings, values, strict=False) if len(values) >= len(settings) else []
    return found


def as_written(value: Any) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def test_defaults_in_tables_are_those_of_the_code() -> None:
    told = [one for page in GUIDE for one in defaults_told(page)]
    looked_at = 0
    for setting, written in told:
        default = Settings.model_fields[setting.lower()].default
        if isinstance(default, (bool, int, float)) and "MB" not in written and "BYTES" not in setting:
            assert written == as_written(default), setting
            looked_at += 1
    assert looked_at > 40


def test_the_endpoints_that_pages_name_exist() -> None:
    known = json.loads((ROOT / "recon_service/api/problem_codes.json").read_text())
    calls = {tuple(call.split(" ")) for call in known}
    calls |= {("GET", "/v1/capture/guidance"), ("POST", "/v1/traces")}  # a WebSocket; the collector's
    shapes = [(method, re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path) + "$")) for method, path in calls]
    named = re.compile(r"(?:\b(GET|PUT|POST|DELETE) `?)?(/v1/[^\s`\"'),;?|]+)")
    for page in GUIDE:
        for method, written in named.findall(page.read_text()):
            path = re.sub(r"\{[^}]*\}", "X", written.rstrip(".:…"))
            assert [m for m, shape in shapes if method in ("", m) and shape.match(path)], (
                f"{page.name}: {written}"
            )


def test_the_metrics_that_pages_name_exist() -> None:
    known = {part for metric in NAMES for part in (metric.name, *metric.series)}
    known |= set(
        re.findall(r"^  (recon_\w+): {file", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    )
    known |= {"recon_service", "recon_models_loaded"}  # the package; what /readyz names
    for page in GUIDE:
        for word in re.findall(r"\brecon_[a-z0-9_]*[a-z]\b", page.read_text()):
            assert word in known, f"{page.name}: {word}"


def test_the_decisions_that_pages_name_exist() -> None:
    numbers = {int(record.name[:4]) for record in ROOT.glob("docs/adr/0*.md")}
    for page in PAGES:
        for number in re.findall(r"\b(?:ADRs?|[Rr]ecords?|adr/)\s*\[?(\d{1,4})\b", page.read_text()):
            assert int(number) in numbers, f"{page.name}: {number}"

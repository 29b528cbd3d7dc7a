"""The files under deploy/ speak of metrics that exist, and every alert says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from recon_service.telemetry.names import NAMES, Name

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/recon-rules.yml"
DASHBOARD = ROOT / "deploy/grafana/recon-service.json"
RUNBOOK = ROOT / "docs/runbook.md"
OF_PROMETHEUS = {"up": frozenset({"job", "instance"})}
ADDED = frozenset({"job", "instance", "le"})


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    return [p for p in json.loads(DASHBOARD.read_text())["panels"] if p["type"] != "row"]


def queries() -> list[str]:
    shown = [t["expr"].replace("$__rate_interval", "1m") for p in panels() for t in p["targets"]]
    return [*shown, *(alert["expr"] for alert in alerts())]


def nodes(node: Any) -> Iterator[Any]:
    """Every part of a parsed query."""
    if isinstance(node, promql_parser.BinaryExpr):
        yield node
        yield from nodes(node.lhs)
        yield from nodes(node.rhs)
        return
    yield node
    for name in ("expr", "vector_selector"):
        if (inner := getattr(node, name, None)) is not None:
            yield from nodes(inner)
    for inner in getattr(node, "args", None) or ():
        yield from nodes(inner)


SERIES: dict[str, Name] = {series: name for name in NAMES for series in name.series}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_every_query_can_be_read_and_names_series_and_labels_that_exist(query: str) -> None:
    selectors = [n for n in nodes(promql_parser.parse(query)) if isinstance(n, promql_parser.VectorSelector)]
    assert selectors
    labels: set[str] = set(ADDED)
    for selector in selectors:
        if selector.name in OF_PROMETHEUS:
            labels |= OF_PROMETHEUS[selector.name]
            continue
        assert selector.name in SERIES, selector.name
        has = set(SERIES[selector.name].labels) | ADDED
        for matcher in selector.matchers.matchers:
            assert matcher.name in has, f"{selector.name} has no label {matcher.name}"
        labels |= has
    for words in re.findall(r"\bby \(([^)]*)\)", query):
        for label in re.split(r"\s*,\s*", words):
            assert label in labels, label


def test_counters_are_never_read_without_a_rate() -> None:
    for query in queries():
        for node in nodes(promql_parser.parse(query)):
            if isinstance(node, promql_parser.Call) and node.func.name in ("rate", "increase"):
                (argument,) = node.args
                name = SERIES[argument.vector_selector.name]
                assert name.kind in ("counter", "histogram"), f"{name.name} is no counter"
        for counter in re.findall(r"recon_\w+_(?:total|bucket|count|sum)\b", query):
            assert re.search(rf"(rate|increase)\({counter}\b", query), query


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(t["expr"] for p in panels() for t in p["targets"])
    missing = [n.name for n in NAMES if not any(re.search(rf"\b{s}\b", shown) for s in n.series)]
    assert missing == []


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    every = json.loads(DASHBOARD.read_text())["panels"]
    assert len({p["id"] for p in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_has_its_section_in_the_runbook_and_no_section_is_left_over() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.M | re.S))
    assert list(sections) == [alert["alert"] for alert in alerts()]
    for alert in alerts():
        text = sections[alert["alert"]]
        assert alert["annotations"]["summary"] in text
        assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert re.fullmatch(r"\d+[mh]", alert["for"])
        for part in ("**Means:**", "**Look at:**", "**Do:**"):
            assert part in text


def test_the_runbook_names_commands_and_settings_that_exist() -> None:
    from recon_service.cli.main import COMMANDS
    from recon_service.settings import known_names

    text = RUNBOOK.read_text()
    for command in re.findall(r"`recon (\w+)", text):
        assert command in {c.name for c in COMMANDS}, command
    for name in re.findall(r"`(RECON_\w+)`", text):
        assert name in known_names(), name


def test_what_prometheus_is_told_fits_together() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert config["rule_files"] == [RULES.name]
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert jobs == set(re.findall(r'job="([^"]+)"', RULES.read_text()))
    assert all("authorization" in job for job in config["scrape_configs"])
    collector = yaml.safe_load((ROOT / "deploy/opentelemetry/collector.yaml").read_text())
    pipeline = collector["service"]["pipelines"]["traces"]
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) <= set(collector[part])

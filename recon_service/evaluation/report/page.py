"""The report's page: table, pictures, and what the figures can and cannot claim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

from recon_service.evaluation.report import charts
from recon_service.evaluation.result import EvaluationResult, RowResult, ScoreResult, SideResult, as_json

MANY_PEOPLE = 40
"""With more, the breakdown shows the worst only."""

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2.5rem auto;
       max-width: 68rem; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem;
  border-top: 1px solid #e1e6eb; padding-top: 1.4rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
.lead { color: #55636f; margin: 0 0 1.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; margin: 0; }
dt { color: #55636f; } dd { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: #55636f; border-bottom: 1px solid #9aa7b2;
     padding: .25rem .5rem; vertical-align: bottom; }
td { text-align: right; padding: .22rem .5rem; white-space: nowrap; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
tr.first td { border-top: 1px solid #e1e6eb; } tr.first td:first-child { font-weight: 600; }
tr.main td { background: #f2f6fa; } td.none { color: #8a97a3; white-space: normal; text-align: left; }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: flex-end; }
svg { max-width: 100%; height: auto; }
.small { font-size: .86rem; color: #55636f; }
abbr { text-decoration: none; border-bottom: 1px dotted #8a97a3; }
li { margin: .25rem 0; }
"""

CANNOT = (
    "They are rates of these people, these recordings and this version of the code, not of a deployment.",
    "The intervals (95 %) come from drawing people with replacement: they tell what other people of the same"
    " kind might give, and know nothing of other cameras, places, years or skin.",
    "Rates below what the comparisons can support are left out, and the table says why. Comparisons of the"
    " same two people are not independent: thousands of comparisons of eleven people are still 55 pairs.",
    "Attacks (prints, masks, replays) are not part of it.",
    "Thresholds are read off the same comparisons, so that a fixed threshold of a policy does worse.",
)
SIMULATED = (
    "Simulated people say how the code works and which change is better, never how real people fare:"
    " no simulated skin, hair, glasses or sensor is one."
)


def write_report(result: EvaluationResult, folder: Path) -> Path:
    """Write report.html and result.json into ``folder`` (made if missing); returns the page's path."""
    text = page(result)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(as_json(result), indent=1), encoding="utf-8")
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def page(result: EvaluationResult) -> str:
    """The whole page: styles and pictures are inside, nothing is fetched, no script runs."""
    title = f"Error rates: {escape(result.dataset)}"
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            f'<p class="lead">{result.people} people, sensor {escape(result.sensor)}.'
            " Rows are named by enrollment and probe:"
            " image5-depth3 enrolls five pictures and compares a visit of three depth frames.</p>",
            *_facts(result),
            "<h2>At a glance</h2>",
            charts.summary(result.rows) if any(row.scores for row in result.rows) else "",
            "<h2>All figures</h2>",
            *_table(result),
            "<h2>What these figures can and cannot claim</h2><ul>",
            *(f"<li>{escape(line)}</li>" for line in _claims(result)),
            "</ul>",
            *(line for row in result.rows for line in _row(row)),
            "</body></html>",
        ]
    )


def _facts(result: EvaluationResult) -> Iterator[str]:
    calibration = (
        "learned on other people (the comparison of two people uses what was learned without both), beside"
        if result.cross_validated
        else "as released,"
    )
    yield "<dl>"
    for name, value in (
        ("canonical model", result.model),
        ("calibration", f"{calibration} calibration {result.calibration}"),
        ("draws", f"{result.draws} per person, seed {result.seed}; single frames against single frames: all"),
    ):
        yield f"<dt>{name}</dt><dd>{escape(value)}</dd>"
    yield "</dl>"


def _claims(result: EvaluationResult) -> Iterator[str]:
    yield from result.notes
    if result.dataset.startswith("synthetic"):
        yield SIMULATED
    yield from CANNOT


HEADINGS = (
    ("row", ""),
    ("score", ""),
    ("EER %", "equal error rate, on the convex hull of the ROC"),
    ("95 %", "interval of the equal error rate, people drawn with replacement"),
    ("FNMR % at FMR 1 %", "false non-match rate where one in a hundred impostors matches"),
    ("95 %", "interval of the false non-match rate at FMR 1 %"),
    ("at 0.1 %", "false non-match rate where one in a thousand impostors matches"),
    ("AUC", "probability that a genuine score is above an impostor score"),
    ("Cllr", "cost of the log-likelihood ratio in bits: 0 perfect, 1 says nothing, above 1 misleads"),
    ("min Cllr", "the same after the best calibration in hindsight"),
)


def _table(result: EvaluationResult) -> Iterator[str]:
    yield "<table><thead><tr>"
    for name, meaning in HEADINGS:
        inner = f'<abbr title="{escape(meaning)}">{name}</abbr>' if meaning else name
        yield f"<th>{inner}</th>"
    yield "</tr></thead><tbody>"
    for row in result.rows:
        if row.refused:
            yield (
                f'<tr class="first"><td>{escape(row.name)}</td>'
                f'<td class="none" colspan="9">{escape(row.refused)}</td></tr>'
            )
        for number, score in enumerate(row.scores):
            kind = "first main" if number == 0 else ""
            name = escape(row.name) if number == 0 else ""
            head = f'<tr class="{kind}"><td>{name}</td><td>{escape(score.name)} ({score.calibration})</td>'
            yield head + "".join(_cells(score)) + "</tr>"
    yield "</tbody></table>"
    reasons = {
        f"{row.name}, FMR {point}: {reason}."
        for row in result.rows
        for score in row.scores
        if score.rates is not None
        for point, reason in score.rates.refused.items()
    }
    if reasons:
        yield '<p class="small">Left out (–): ' + " ".join(map(escape, sorted(reasons))) + "</p>"


def _cells(score: ScoreResult) -> Iterator[str]:
    rates = score.rates
    if rates is None:
        yield f'<td class="none" colspan="8">{escape(score.refused)}</td>'
        return
    yield f"<td>{_percent(rates.eer)}</td><td>{_interval(rates.intervals['eer'])}</td>"
    yield f"<td>{_percent(rates.fnmr['1e-2'])}</td>"
    yield f"<td>{_interval(rates.intervals['fnmr_at_fmr_1e-2'])}</td>"
    yield f"<td>{_percent(rates.fnmr['1e-3'])}</td>"
    yield f"<td>{rates.auc:.4f}</td><td>{'' if rates.cllr is None else f'{rates.cllr:.2f}'}</td>"
    yield f"<td>{rates.min_cllr:.2f}</td>"


def _innovation(row: RowResult) -> str:
    if row.innovation is None:
        return ""
    low, high = row.innovation.interval
    return (
        f"<br>Normalized innovation of genuine comparisons in the leading {row.innovation.modes} modes:"
        f" {row.innovation.mean:.2f} ({low:.2f} to {high:.2f}); 1 is honest, more is too sure."
    )


def _row(row: RowResult) -> Iterator[str]:
    genuine = int(row.genuine.sum())
    yield f"<h2>{escape(row.name)}</h2>"
    yield (
        f'<p class="small">{row.people} people, {row.people_pairs} pairs of people; {genuine:,} genuine and'
        f" {len(row.genuine) - genuine:,} impostor comparisons.<br>{_fared('Enrollment', row.references)}"
        f"<br>{_fared('Probe', row.probes)}{_innovation(row)}</p>"
    )
    measured = [score for score in row.scores if score.rates is not None]
    if not measured:
        return
    main = measured[0]
    yield f'<div class="pictures">{charts.det(row)}{charts.histogram(row, main)}</div>'
    yield f"<h3>Whom it fails: {escape(main.name)} at the threshold of the equal error rate</h3>"
    yield '<div class="pictures">'
    people = sorted(main.by_person, key=lambda part: -(part.fnmr or 0.0))[:MANY_PEOPLE]
    few = len(people) < len(main.by_person)
    yield charts.breakdown(people, f"people, the {MANY_PEOPLE} worst" if few else "people, worst first")
    for side, parts in (main.by_pose or {}).items():
        yield charts.breakdown(parts, f"pose, {side}")
    yield "</div>"


def _fared(title: str, side: SideResult) -> str:
    name = "failures to enroll" if title == "Enrollment" else "failures to acquire"
    faults = "".join(f"; {escape(code)}: {count}" for code, count in side.faults.items())
    seconds = "" if side.median_seconds is None else f"; median {1000 * side.median_seconds:.0f} ms"
    return (
        f"{title}: {side.samples:,} samples, {side.items_used:,} of {side.items:,} items used, {name}"
        f" {side.failures} ({100 * side.failure_rate:.1f} %){faults}{seconds}."
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}"

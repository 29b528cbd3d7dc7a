"""What a batch would change, on a terminal; and the wait for its evaluations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from recon_service.cli.client import ServiceClient

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

POLL_S: Final = 1.0
PENDING: Final = "pending"
SETS: Final = {"simulated": "simulated people", "real": "real people"}
RATES: Final = {
    "eer": "equal error rate",
    "fnmr_at_fmr": "missed, at the policy's false match rate",
    "fnmr": "missed, at the policy's threshold",
    "fmr": "false matches, at the policy's threshold",
    "cllr": "Cllr, bits",
}


def evaluate_batch(client: ServiceClient, batch_id: str, *, again: bool, quiet: bool) -> bool:
    """Ask for the evaluations, and wait until all have their end, with a bar for each. False: one failed.
    Ctrl-C leaves them under way.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    path = f"/v1/batches/{batch_id}"
    query = "?again=true" if again else ""
    found = client.send("POST", f"{path}:evaluate{query}").json()["evaluations"]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as bar:
        tasks = {
            one["evaluation_set"]: bar.add_task(SETS.get(one["evaluation_set"], ""), total=None)
            for one in found
        }
        while True:
            for one in found:
                bar.update(tasks[one["evaluation_set"]], completed=one["done"], total=one["total"] or None)
            if all(one["state"] != PENDING for one in found):
                return all(one["state"] == "done" for one in found)
            time.sleep(POLL_S)
            found = client.look(f"{path}/evaluations").json()["evaluations"]


def show_comparison(found: dict[str, Any]) -> None:
    """Tables: the sample as a whole, recent verifications, error rates, and the subjects that would change
    most.
    """
    from rich.console import Console

    console = Console()
    console.print(f"{found['sampled']} of {found['candidates']} candidates, against the templates in force")
    if found["incomparable"]:
        console.print(f"{found['incomparable']} cannot be compared: the versions are of different models.")
    for table in (_spreads(found), *_scores(found), *_evaluations(found), _known(found), _outliers(found)):
        _print(console, table)


def _print(console: Console, table: RenderableType | None) -> None:
    if table is not None:
        console.print(table)


def _spreads(found: dict[str, Any]) -> RenderableType:
    from rich.table import Table

    spread = Table("of the sample", "median", "95 %", "largest")
    for name, what in (("shift", "shape moved, sd of people"), ("width", "posterior, candidate over former")):
        spread.add_row(what, *(f"{found[name][k]:.2f}" for k in ("median", "high", "largest")))
    return spread


def _scores(found: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.table import Table

    probes = found["probes"]
    rows = (
        ("recent verifications", probes and probes["scores"]),
        ("visits that strengthened", found["visits"]),
        ("of others", found["strangers"]),
    )
    scores = Table("scores", "number", "former", "candidate", "largest fall", "largest rise", "falling")
    for what, change in rows:
        if change:
            keys = ("former", "candidate", "largest_fall", "largest_rise")
            means = [f"{change[k]:.2f}" for k in keys]
            scores.add_row(what, str(change["count"]), *means, f"{100 * change['falling']:.0f} %")
    yield scores if scores.row_count else "No verifications were kept that could be scored."
    if probes:
        of = f"{probes['changed']} of {probes['scores']['count']} decisions would be others"
        turned = Table(f"{of} ({probes['policy']})", "former", "candidate")
        for one in probes["turned"]:
            turned.add_row(str(one["count"]), one["former"], one["candidate"])
        yield turned if turned.row_count else f"{of} ({probes['policy']})."


def _evaluations(found: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.table import Table

    if not found["evaluations"]:
        yield "Not evaluated. To try both ways on the same people: recon batch compare … --evaluate"
    for one in found["evaluations"]:
        where, outcome = SETS.get(one["evaluation_set"], one["evaluation_set"]), one["outcome"]
        if outcome is None:
            failed = f"failed: {one['reason']}. {one['next_step']}"
            under_way = f"under way, {one['done']} of {one['total']}" if one["total"] else "waits"
            yield f"On {where}: {failed if one['state'] == 'failed' else under_way}"
            continue
        head = f"on {outcome['people']} {where} ({outcome['dataset']}, {outcome['row']})"
        columns = ("", "former", "candidate", "difference", "more than chance")
        table = Table(*columns, title=head, title_justify="left")
        differences = {d["rate"]: d for d in outcome["differences"]}
        for rate, what in RATES.items():
            sides = (_figure(outcome[side][rate], rate) for side in ("former", "candidate"))
            difference = differences.get(rate)
            words = _difference(difference, rate) if difference else ("", "")
            table.add_row(what, *sides, *words)
        failures = (f"{outcome[s]['failed_enrollments']} of {outcome[s]['enrollments']}" for s in _SIDES)
        table.add_row("enrollments that gave nothing", *failures, "", "")
        yield table
        if outcome["same"]:
            yield "Both ways are one here: the former templates were made by code that is not here any more."


_SIDES: Final = ("former", "candidate")
_PARTS: Final = ("value", "low", "high")


def _figure(figure: dict[str, Any], rate: str) -> str:
    if figure["value"] is None:
        return f"– ({figure['refused']})"
    value, low, high = (None if figure[k] is None else _number(figure[k], rate) for k in _PARTS)
    return f"{value} ({low} to {high})" if low is not None else f"{value}"


def _difference(found: dict[str, Any], rate: str) -> tuple[str, str]:
    low, high = _number(found["low"], rate), _number(found["high"], rate)
    return f"{_number(found['value'], rate)} ({low} to {high})", "yes" if found["more_than_chance"] else "no"


def _number(value: float, rate: str) -> str:
    return f"{value:.3f}" if rate == "cllr" else f"{100 * value:.1f} %"


def _known(found: dict[str, Any]) -> RenderableType | None:
    from rich.table import Column, Table

    kinds = (Column(name, overflow="fold") for name in ("reference", "probe"))
    known = Table(
        "", *kinds, "people", "EER", "Cllr", title="as the calibration was measured", title_justify="left"
    )
    for row in found["evaluation"]:
        words = (row["side"], row["reference"], row["probe"], str(row["people"]))
        known.add_row(*words, f"{100 * row['eer']:.1f} %", f"{row['cllr']:.2f}")
    return known if known.row_count else None


def _outliers(found: dict[str, Any]) -> RenderableType | None:
    from rich.table import Column, Table

    most = Table(Column("would change most", overflow="fold"), "shift", "width", "fall", "")
    for outlier in found["outliers"]:
        fall = "" if outlier["fall"] is None else f"{outlier['fall']:.2f}"
        numbers = (f"{outlier['shift']:.2f}", f"{outlier['width']:.2f}", fall)
        most.add_row(outlier["subject_id"], *numbers, outlier["problem"])
    return most if most.row_count else None

"""The report's pictures as SVG text, drawn by matplotlib (of the extra ``demo``)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from recon_service.domain.arrays import Array
from recon_service.domain.errors import CallerError
from recon_service.evaluation.result import Part, RowResult, ScoreResult
from recon_service.evaluation.scores import COSINE, LEARNED_LLR, LLR, WHITENED_COSINE

INK, FAINT, GENUINE, IMPOSTOR = "#1c2733", "#c9d1d9", "#12785a", "#b4432f"
COLORS = {LLR: "#1f5fae", COSINE: "#8a6d1c", LEARNED_LLR: "#7a3fa0", WHITENED_COSINE: "#12785a"}
TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8)
DET_POINTS = 500
STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8ecf0",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    # The same result gives the same file.
    "svg.hashsalt": "recon",
}


class ReportUnavailable(CallerError):
    """The pictures need a package that is not installed."""

    code = "report-unavailable"
    title = "The report cannot be drawn"


def summary(rows: Sequence[RowResult]) -> str:
    """Equal error rates with their intervals, all rows and scores."""
    shown = [(row, score) for row in rows for score in row.scores if score.rates is not None]
    figure, axes = _figure(7.6, 0.9 + 0.21 * len(shown) + 0.12 * len(rows))
    at, ticks, last = 0.0, [], ""
    for row, score in shown:
        if row.name != last:
            at, last = at + 0.6, row.name
            ticks.append((at + 0.5 * (len([s for s in row.scores if s.rates is not None]) - 1), row.name))
        rates = score.rates
        assert rates is not None
        low, high = rates.intervals["eer"] or (rates.eer, rates.eer)
        axes.plot([100 * low, 100 * high], [at, at], color=COLORS[score.name], lw=1.6, alpha=0.55)
        axes.plot(100 * rates.eer, at, "o", ms=5, color=COLORS[score.name])
        at += 1
    for name in dict.fromkeys(score.name for _, score in shown):
        axes.plot([], [], "o-", color=COLORS[name], label=name)
    axes.axvline(50, color=FAINT, lw=1, ls="--")
    axes.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks])
    axes.grid(axis="y", visible=False)
    axes.set(xlim=(0, 60), xlabel="equal error rate, % (line: 95 % interval; 50 is guessing)")
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return _svg(figure)


def det(row: RowResult) -> str:
    """Detection error trade-off of every score on normal-deviate axes."""
    figure, axes = _figure(3.9, 3.7)
    lowest = float(ndtri(TICKS[0]) * 1.06)
    highest = float(ndtri(TICKS[-1]) * 1.2)
    for score in row.scores:
        if score.values is None:
            continue
        fmr, fnmr = rates_by_threshold(score.values[row.genuine], score.values[~row.genuine])
        x, y = (ndtri(np.clip(rate, 1e-9, 1 - 1e-9)) for rate in (fmr, fnmr))
        axes.plot(x, y, color=COLORS[score.name], lw=1.5, label=score.name)
    axes.plot([lowest, highest], [lowest, highest], color=FAINT, lw=1, ls="--")
    for fmr_point in (1e-3, 1e-2):
        axes.axvline(ndtri(fmr_point), color=FAINT, lw=1, ls=":")
    marks, names = [float(ndtri(tick)) for tick in TICKS], [f"{100 * tick:g}" for tick in TICKS]
    axes.set_xticks(marks, names)
    axes.set_yticks(marks, names)
    axes.set(xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
    axes.set(xlabel="false match rate, %", ylabel="false non-match rate, %")
    axes.legend(loc="lower left", fontsize=8, frameon=False)
    return _svg(figure)


def rates_by_threshold(genuine: Array, impostor: Array) -> tuple[Array, Array]:
    """False match and false non-match rate at up to ``DET_POINTS`` thresholds each of both kinds' quantiles,
    falling in the first.
    """
    share = np.concatenate([np.linspace(0, 1, DET_POINTS), np.geomspace(1e-5, 1, DET_POINTS)])
    levels = np.unique(
        np.concatenate(
            [np.quantile(genuine, share, method="lower"), np.quantile(impostor, 1 - share, method="higher")]
        )
    )
    fmr = 1.0 - np.searchsorted(np.sort(impostor), levels, "left") / len(impostor)
    fnmr = np.searchsorted(np.sort(genuine), levels, "left") / len(genuine)
    return fmr, fnmr


def histogram(row: RowResult, score: ScoreResult) -> str:
    """How the score is spread for the same and for different people; the outer half percent at the edges."""
    figure, axes = _figure(4.4, 3.7)
    values = score.values
    assert values is not None
    genuine, impostor = values[row.genuine], values[~row.genuine]
    low = min(np.quantile(genuine, 0.005), np.quantile(impostor, 0.005))
    high = max(np.quantile(genuine, 0.995), np.quantile(impostor, 0.995))
    edges = np.linspace(low, max(high, low + 1e-9), 48)
    for kind, color, name in (
        (impostor, IMPOSTOR, f"different people ({len(impostor):,})"),
        (genuine, GENUINE, f"same person ({len(genuine):,})"),
    ):
        # Shares, so that the few genuine comparisons can be seen beside the many others.
        weights = np.full(len(kind), 100 / len(kind))
        inside = np.clip(kind, edges[0], edges[-1])
        axes.hist(inside, edges, weights=weights, histtype="stepfilled", color=color, alpha=0.25)
        axes.hist(inside, edges, weights=weights, histtype="step", color=color, label=name)
    label = "natural log-likelihood ratio" if score.name in (LLR, LEARNED_LLR) else "cosine"
    axes.set(xlabel=f"{score.name}: {label}", ylabel="% of comparisons")
    if score.name in (LLR, LEARNED_LLR):
        axes.axvline(0, color=INK, lw=0.8, ls=":")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, ncols=2, frameon=False)
    return _svg(figure)


def breakdown(parts: Sequence[Part], title: str) -> str:
    """Both error rates of each person or pose at the threshold of the row's equal error rate."""
    figure, axes = _figure(0.9 + 0.36 * max(len(parts), 6), 2.5)
    at = np.arange(len(parts))
    for offset, color, name, shares in (
        (-0.19, GENUINE, "false non-match", [p.fnmr for p in parts]),
        (0.19, IMPOSTOR, "false match", [p.fmr for p in parts]),
    ):
        heights = np.array([np.nan if share is None else 100 * share for share in shares])
        axes.bar(at + offset, heights, 0.36, color=color, alpha=0.8, label=name)
    axes.set_xticks(at, [part.name for part in parts], rotation=60 if len(parts) > 12 else 0)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="%", xlabel=title)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8, frameon=False)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of its own, in inches, without the global state of pyplot."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise ReportUnavailable(
            "matplotlib is not installed",
            next_step="Install the extra 'demo', or evaluate without --report.",
        ) from missing
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def _svg(figure: Any) -> str:
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    return text[text.index("<svg") :]

"""The result as pictures (PNG), drawn by matplotlib (of the extra ``demo``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recon_service.evaluation.detectors.result import BenchmarkResult, DetectorResult
from recon_service.evaluation.report.charts import (
    FAINT,
    GENUINE,
    IMPOSTOR,
    INK,
    STYLE,
    ReportUnavailable,
    rates_by_threshold,
)

BLUE = "#1f5fae"
DEVICE_COLORS = {"cpu": BLUE, "cuda": GENUINE}
DPI = 120
ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 2, "frameon": False}
"""A legend that hides no bar."""


def write_charts(result: BenchmarkResult, folder: Path) -> list[Path]:
    """accuracy, roc, speed, memory and jitter as PNG files. Raises ReportUnavailable without matplotlib."""
    rows = [row for row in result.rows if not row.refused]
    drawings: dict[str, Callable[[Sequence[DetectorResult], Any], None]] = {
        "speed": _speed,
        "memory": _memory,
        "jitter": _jitter,
        "detection": _detection,
    }
    if any(row.verification is not None for row in rows):
        drawings |= {"accuracy": _accuracy, "roc": _roc}
    written = []
    for name, draw in drawings.items():
        figure, axes = _figure(
            5.4 if name == "roc" else 7.2, 5.0 if name == "roc" else 0.9 + 0.34 * len(rows)
        )
        draw(rows, axes)
        path = folder / f"{name}.png"
        _save(figure, path)
        written.append(path)
    return written


def _label(row: DetectorResult) -> str:
    parts = [row.detector, *(["dense"] if row.alignment == "dense" else [])]
    return " ".join(parts) if row.device == "cpu" else f"{' '.join(parts)} ({row.device})"


def _bars(
    rows: Sequence[DetectorResult],
    axes: Any,
    value: Callable[[DetectorResult], float | None],
    form: str,
    *,
    sd: Callable[[DetectorResult], float | None] = lambda row: None,
) -> None:
    shown = [(row, value(row)) for row in rows]
    at = np.arange(len(shown))
    heights = [np.nan if number is None else number for _, number in shown]
    colors = [DEVICE_COLORS.get(row.device, INK) for row, _ in shown]
    errors = [sd(row) or 0.0 for row, _ in shown]
    axes.barh(at, heights, 0.62, color=colors, xerr=errors if any(errors) else None, ecolor=INK)
    for place, (_, number), error in zip(at, shown, errors, strict=True):
        text, end = ("–", 0.0) if number is None else (format(number, form), number + error)
        axes.annotate(text, (end, place), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(at, [_label(row) for row, _ in shown])
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.15)
    axes.invert_yaxis()


def _accuracy(rows: Sequence[DetectorResult], axes: Any) -> None:
    def percent(row: DetectorResult) -> float | None:
        return None if row.verification is None else 100 * row.verification.accuracy

    def spread(row: DetectorResult) -> float | None:
        return None if row.verification is None else 100 * row.verification.accuracy_sd

    _bars(rows, axes, percent, ".2f", sd=spread)
    axes.set(xlabel="verification accuracy, % (bar: standard deviation over the folds)", xlim=(40, 108))


def _roc(rows: Sequence[DetectorResult], axes: Any) -> None:
    for row in rows:
        of = row.verification
        if of is None or row.device != "cpu":
            continue
        fmr, fnmr = rates_by_threshold(of.scores[of.genuine], of.scores[~of.genuine])
        # No impostor above the threshold: drawn where half of one would be.
        rate = 100 * np.maximum(fmr, 0.5 / (~of.genuine).sum())
        axes.plot(rate, 100 * (1 - fnmr), lw=1.4, label=f"{_label(row)}, AUC {of.auc:.4f}")
    chance = np.geomspace(0.01, 100)
    axes.plot(chance, chance, color=FAINT, lw=1, ls="--")
    axes.set_xscale("log")
    axes.set(xlabel="false match rate, % (logarithmic)", ylabel="true match rate, %", ylim=(0, 101))
    axes.legend(loc="lower right", fontsize=8)


def _speed(rows: Sequence[DetectorResult], axes: Any) -> None:
    _bars(rows, axes, lambda row: row.ms_per_picture, ".1f")
    devices = [name for name in DEVICE_COLORS if any(row.device == name for row in rows)]
    for name in devices:
        axes.plot([], [], "s", color=DEVICE_COLORS[name], label=name)
    if devices:
        axes.legend(**ABOVE)
    axes.set(xlabel="milliseconds per picture, median")


def _memory(rows: Sequence[DetectorResult], axes: Any) -> None:
    _bars(rows, axes, lambda row: row.own_mib, ".0f")
    for place, row in enumerate(rows):
        if row.gpu_mib is not None:
            axes.plot(row.gpu_mib, place, "D", color=IMPOSTOR, ms=5)
    axes.set(xlabel="memory of network and pictures at the peak, MiB (diamond: on the GPU)")


def _jitter(rows: Sequence[DetectorResult], axes: Any) -> None:
    at = np.arange(len(rows))
    for offset, color, name, values in (
        (-0.18, BLUE, "crops", [row.jitter_crop for row in rows]),
        (0.18, IMPOSTOR, "noise", [row.jitter_noise for row in rows]),
    ):
        widths = [np.nan if value is None else 100 * value for value in values]
        axes.barh(at + offset, widths, 0.34, color=color, alpha=0.85, label=name)
    axes.set_yticks(at, [_label(row) for row in rows])
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.legend(**ABOVE)
    axes.set(xlabel="spread of the landmarks, % of the distance of the eyes, median")


def _detection(rows: Sequence[DetectorResult], axes: Any) -> None:
    _bars(
        rows,
        axes,
        lambda row: None if row.detection_success is None else 100 * row.detection_success,
        ".1f",
    )
    axes.set(xlabel="pictures with a face found, %", xlim=(0, 112))


def _figure(width: float, height: float) -> tuple[Any, Any]:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise ReportUnavailable(
            "matplotlib is not installed",
            next_step="Install the extra 'demo', or measure without --report.",
        ) from missing
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})

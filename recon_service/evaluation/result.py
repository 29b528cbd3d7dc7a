"""What an evaluation found, and its JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.evaluation.innovation import Innovation
from recon_service.evaluation.rates import OPERATING_POINTS, Rates
from recon_service.evaluation.scores import Calibration

FORMAT = "recon-evaluation-1"


@dataclass(frozen=True, slots=True)
class Part:
    """The comparisons of one person or of one pose. fnmr, fmr: at the threshold of the row's equal error
    rate, None where there is no comparison; of a person, fmr counts all comparisons with other people.
    """

    name: str
    genuine: int
    impostor: int
    fnmr: float | None
    fmr: float | None


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """One score of one row. rates: None with the reason in ``refused``. values, genuine: (m,), for
    pictures.
    """

    name: str
    calibration: Calibration
    rates: Rates | None
    refused: str = ""
    values: Array | None = None
    by_person: tuple[Part, ...] = ()
    by_pose: dict[str, tuple[Part, ...]] | None = None


@dataclass(frozen=True, slots=True)
class SideResult:
    """How the samples of a side fared. median_seconds: of one observation on one core."""

    samples: int
    failures: int
    items: int
    items_used: int
    faults: dict[str, int]
    median_seconds: float | None

    @property
    def failure_rate(self) -> float:
        return self.failures / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class RowResult:
    """One row; the first score is the main one. refused: why there is none. genuine: (m,) which comparisons
    are. innovation: under cross-validation.
    """

    name: str
    references: SideResult
    probes: SideResult
    people: int
    people_pairs: int
    genuine: NDArray[np.bool_]
    scores: tuple[ScoreResult, ...]
    refused: str = ""
    innovation: Innovation | None = None


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """All rows and what they were measured with."""

    dataset: str
    sensor: str
    people: int
    draws: int
    seed: int
    model: str
    calibration: str
    cross_validated: bool
    notes: tuple[str, ...]
    rows: tuple[RowResult, ...]


def as_json(result: EvaluationResult) -> dict[str, Any]:
    """Plain values. Every row carries its main score's figures at its top and all scores below ``scores``.
    Rates are shares, not percent.
    """
    main = Calibration.CROSS_VALIDATED if result.cross_validated else Calibration.RELEASED
    return {
        "format": FORMAT,
        "dataset": result.dataset,
        "sensor": result.sensor,
        "subjects": result.people,
        "draws": result.draws,
        "seed": result.seed,
        "model": result.model,
        "calibration": main.value,
        "released_calibration": result.calibration,
        "notes": list(result.notes),
        "rows": [_row(row) for row in result.rows],
    }


def _row(row: RowResult) -> dict[str, Any]:
    scores = [_score(score) for score in row.scores]
    genuine = int(row.genuine.sum())
    head = {**scores[0], "score": scores[0]["name"]} if scores else _score(None)
    del head["name"]
    return {
        "name": str(row.name),
        **head,
        "refused": row.refused or head["refused"],
        "counts": {
            "subjects": row.people,
            "subject_pairs": row.people_pairs,
            "genuine": genuine,
            "impostor": len(row.genuine) - genuine,
            "enrollments": row.references.samples,
            "failures_to_enroll": row.references.failures,
            "probes": row.probes.samples,
            "failures_to_acquire": row.probes.failures,
        },
        "failure_to_enroll_rate": row.references.failure_rate,
        "failure_to_acquire_rate": row.probes.failure_rate,
        "enrollment": _side(row.references),
        "probe": _side(row.probes),
        "normalized_innovation": row.innovation
        and {
            "mean": row.innovation.mean,
            "interval": list(row.innovation.interval),
            "modes": row.innovation.modes,
        },
        "scores": scores,
    }


def _side(side: SideResult) -> dict[str, Any]:
    return {
        "samples": side.samples,
        "failures": side.failures,
        "items": side.items,
        "items_used": side.items_used,
        "faults": side.faults,
        "median_seconds": side.median_seconds,
    }


def _score(score: ScoreResult | None) -> dict[str, Any]:
    rates = score.rates if score is not None else None
    figures: dict[str, Any] = {
        "name": score.name if score is not None else None,
        "score": score.name if score is not None else None,
        "calibration": score.calibration.value if score is not None else None,
        "refused": score.refused if score is not None else "",
        "eer": rates and rates.eer,
        "auc": rates and rates.auc,
        "cllr": rates and rates.cllr,
        "min_cllr": rates and rates.min_cllr,
    }
    for point in OPERATING_POINTS:
        name = f"fnmr_at_fmr_{point}"
        figures[name] = rates and rates.fnmr[point]
        figures[f"{name}_reason"] = rates.refused.get(point, "") if rates else ""
    figures["intervals"] = (
        {name: list(ends) if ends is not None else None for name, ends in rates.intervals.items()}
        if rates
        else {}
    )
    if score is not None:
        figures["by_subject"] = [_part(part) for part in score.by_person]
        figures["by_pose"] = {
            side: [_part(part) for part in parts] for side, parts in (score.by_pose or {}).items()
        }
    return figures


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "genuine": part.genuine,
        "impostor": part.impostor,
        "fnmr_at_eer_threshold": part.fnmr,
        "fmr_at_eer_threshold": part.fmr,
    }

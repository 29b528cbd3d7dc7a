"""Operations as rows, with what is said of their selfies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from recon_service.application.records.operations import (
    Lane,
    Operation,
    OperationState,
    Problem,
    SelfieReport,
)
from recon_service.domain.quality import QualityMeasure, QualityReport, Verdict


def operation_of(row: Mapping[str, Any]) -> Operation:
    """The operation of a row."""
    inner = ("claim_token", "queued_at", "published_at", "number")
    fields = {name: value for name, value in row.items() if name not in inner}
    fields["state"] = OperationState(fields["state"])
    fields["lane"] = Lane(fields["lane"])
    fields["selfies"] = tuple(_selfie_from_json(s) for s in fields["selfies"])
    fields["problem"] = Problem(**fields["problem"]) if fields["problem"] else None
    return Operation(**fields)


def selfie_to_json(report: SelfieReport) -> dict[str, Any]:
    """What is said of a selfie, as the column holds it."""
    return {
        "accepted": report.accepted,
        "quality": [asdict(m) for m in report.quality.measures] if report.quality else None,
        "problem": asdict(report.problem) if report.problem else None,
        "spare": report.spare,
    }


def _selfie_from_json(value: dict[str, Any]) -> SelfieReport:
    measures = value["quality"]
    quality = None
    if measures is not None:
        quality = QualityReport(
            tuple(QualityMeasure(**{**m, "verdict": Verdict(m["verdict"])}) for m in measures)
        )
    problem = Problem(**value["problem"]) if value["problem"] else None
    return SelfieReport(value["accepted"], quality, problem, value.get("spare", False))

"""What was measured of each detector, and its forms: JSON, CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from recon_service.evaluation.detectors.measures import Verification

FORMAT = "recon-detectors-1"
COLUMNS = {
    "detector": "name",
    "device": "where it really ran",
    "alignment": "places: by the named places or the box; dense: by all landmarks",
    "refused": "why there is nothing more",
    "pictures": "how many",
    "detection_success": "share of the pictures with a face",
    "several_faces": "share of the pictures with more than one",
    "accuracy": "of verification, mean over the folds",
    "accuracy_sd": "its standard deviation over the folds",
    "auc": "area under the ROC",
    "eer": "equal error rate",
    "ms_per_picture": "median, detection alone",
    "cpu_ms_per_picture": "the same in time of the CPU, which other programs do not change",
    "peak_mib": "memory of its process at its peak",
    "own_mib": "of that, network and pictures",
    "gpu_mib": "memory on the GPU at its peak",
    "jitter_crop": "spread of the named places under crops, share of the distance of the eyes, median",
    "jitter_noise": "the same under noise",
    "jitter_crop_all": "spread of all its landmarks under crops",
    "jitter_pictures": "of how many pictures",
}

VERIFIED = ("accuracy", "accuracy_sd", "auc", "eer")


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """One detector on one device with one alignment; figures as in ``COLUMNS``, None where there is none."""

    detector: str
    device: str
    alignment: str
    pictures: int = 0
    refused: str = ""
    detection_success: float | None = None
    several_faces: float | None = None
    ms_per_picture: float | None = None
    cpu_ms_per_picture: float | None = None
    peak_mib: float | None = None
    own_mib: float | None = None
    gpu_mib: float | None = None
    jitter_crop: float | None = None
    jitter_noise: float | None = None
    jitter_crop_all: float | None = None
    jitter_pictures: int = 0
    verification: Verification | None = None

    def figures(self) -> dict[str, Any]:
        """Plain values under the names of ``COLUMNS``."""
        of = self.verification
        return {name: getattr(of if name in VERIFIED else self, name, None) for name in COLUMNS}


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """All detectors on one data set. embedder: name and version, "" for none."""

    dataset: str
    pictures: int
    people: int
    genuine: int
    impostor: int
    embedder: str
    machine: str
    batch: int
    notes: tuple[str, ...]
    rows: tuple[DetectorResult, ...]


def as_json(result: BenchmarkResult) -> dict[str, Any]:
    """Rates are shares, not percent."""
    return {
        "format": FORMAT,
        "dataset": result.dataset,
        "pictures": result.pictures,
        "people": result.people,
        "genuine_pairs": result.genuine,
        "impostor_pairs": result.impostor,
        "embedder": result.embedder,
        "machine": result.machine,
        "batch": result.batch,
        "notes": list(result.notes),
        "columns": COLUMNS,
        "rows": [row.figures() for row in result.rows],
    }


def as_csv(result: BenchmarkResult) -> str:
    """A head line and a line per row; empty cells where there is no figure."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    for row in result.rows:
        cells = row.figures()
        writer.writerow(
            {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in cells.items()}
        )
    return stream.getvalue()

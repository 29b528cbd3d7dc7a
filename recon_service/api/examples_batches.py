"""Examples of batches for the OpenAPI document; a test holds each against the schema of its answer."""

from __future__ import annotations

from typing import Any, Final

from recon_service.api.schemas_evaluations import EVALUATION, PENDING

_FORMER: Final = "/v1/subjects/user-8c41/templates/tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e"
_CANDIDATE: Final = "/v1/subjects/user-8c41/templates/tpl_1c9d7e5f3a1b2c4d6e0b9f2d4c6e8a4b"
_ID: Final = "batch_3c1e8b1f4c0f9d9a4f5b7a6e1d2c5f0c"

REQUEST: Final[dict[str, Any]] = {
    "selection": {"calibration": "released-1@0b9f2d4c6e8a"},
    "target": {"calibration": "released-2", "materials": ["selfies", "evidence"]},
    "priority": 5,
    "dry_run": False,
}

BATCH: Final[dict[str, Any]] = {
    "batch_id": _ID,
    "state": "running",
    "selection": {
        "all": False,
        "listed": 0,
        "model": None,
        "calibration": "released-1@0b9f2d4c6e8a",
        "made_before": None,
        "quality_below": None,
    },
    "target": {
        "backend": "facemesh",
        "model": "",
        "calibration": "released-2",
        "materials": ["selfies", "evidence"],
    },
    "priority": 5,
    "created_by": "1f2e3d4c5b6a",
    "created_at": "2026-03-04T10:00:00.120000Z",
    "updated_at": "2026-03-04T10:00:00.120000Z",
    "begun_at": "2026-03-04T10:00:00.120000Z",
    "ended_at": None,
    "items_gone_at": None,
    "expected": 20000,
    "listed": 5120,
    "all_listed": False,
    "done": 4711,
    "items": {
        "waiting": 345,
        "running": 64,
        "succeeded": 4680,
        "rejected": 3,
        "needs-new-selfie": 27,
        "failed": 1,
        "cancelled": 0,
    },
    "standings": {"candidate": 4680, "activated": 0, "superseded": 0, "rolled-back": 0},
    "reasons": {"fit-failed": 1, "nothing-kept": 27, "no-selfie-accepted": 3},
    "materials": {"evidence": 1200, "selfies": 3483},
    "per_second": 38.4,
    "seconds_left": 398.2,
    "blocked": False,
    "links": {"self": f"/v1/batches/{_ID}", "items": f"/v1/batches/{_ID}/items"},
}

PREVIEW: Final[dict[str, Any]] = {
    "selected": 20000,
    "with_selfies": 15200,
    "with_evidence": 4100,
    "needs_new_selfie": 700,
    "unknown": 0,
    "made_with": [
        {"model": "ict-facekit-light", "calibration": "released-1@0b9f2d4c6e8a", "subjects": 20000}
    ],
}

SUBMITTED: Final[dict[str, Any]] = {"preview": PREVIEW, "batch": BATCH}
BATCHES: Final[dict[str, Any]] = {"batches": [BATCH]}
RETRIED: Final[dict[str, Any]] = {"items": 1, "batch": BATCH}
ITEMS: Final[dict[str, Any]] = {
    "batch_id": _ID,
    "items": [
        {
            "subject_id": "user-8c41",
            "state": "succeeded",
            "attempts": 1,
            "reason": "",
            "material": "selfies",
            "template_id": "tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e",
            "former_id": None,
            "standing": "candidate",
            "ended_at": "2026-03-04T10:01:07.480000Z",
        }
    ],
    "next": f"/v1/batches/{_ID}/items?state=succeeded&limit=1&after=user-8c41",
}

COMPARISON: Final[dict[str, Any]] = {
    "batch_id": _ID,
    "candidates": 19200,
    "sampled": 200,
    "shift": {"median": 0.11, "high": 0.31, "largest": 1.42},
    "width": {"median": 0.97, "high": 1.02, "largest": 1.31},
    "probes": {
        "subjects": 61,
        "scores": {
            "count": 174,
            "former": 6.8,
            "candidate": 7.7,
            "largest_fall": 2.4,
            "largest_rise": 3.6,
            "falling": 0.17,
        },
        "policy": "pilot-1",
        "changed": 5,
        "turned": [
            {"former": "INCONCLUSIVE", "candidate": "MATCH", "count": 4},
            {"former": "MATCH", "candidate": "INCONCLUSIVE", "count": 1},
        ],
        "told": {"INCONCLUSIVE": 9, "MATCH": 162, "NO_MATCH": 3},
    },
    "visits": {
        "count": 42,
        "former": 7.1,
        "candidate": 7.9,
        "largest_fall": 2.2,
        "largest_rise": 3.0,
        "falling": 0.19,
    },
    "strangers": None,
    "incomparable": 0,
    "evaluation": [
        {
            "side": "candidate",
            "reference": "selfies-photometric/visible/5",
            "probe": "depth/structured-light/3",
            "templates": 200,
            "dataset": "synthetic/1",
            "people": 160,
            "eer": 0.025,
            "cllr": 0.11,
        }
    ],
    "evaluations": [EVALUATION, PENDING],
    "outliers": [
        {
            "subject_id": "user-8c41",
            "shift": 1.42,
            "width": 1.31,
            "fall": 2.2,
            "problem": "",
            "links": {
                "former": f"{_FORMER}/mesh.glb",
                "candidate": f"{_CANDIDATE}/mesh.glb",
                "former_picture": f"{_FORMER}/picture.png",
                "candidate_picture": f"{_CANDIDATE}/picture.png",
            },
        }
    ],
}

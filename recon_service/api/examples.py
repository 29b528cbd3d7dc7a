"""Examples for the OpenAPI document; a test holds each against the schema of its answer."""

from __future__ import annotations

from typing import Any, Final

_OPERATION = "op_5f0c3c1e8b1f4c0f9d9a4f5b7a6e1d2c"
_TEMPLATE = "tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e"
_MESH = f"/v1/subjects/user-8c41/templates/{_TEMPLATE}/mesh.glb"

INTRINSICS: Final = (
    '{"width": 640, "height": 480, "fx": 615.2, "fy": 615.4, "cx": 319.6, "cy": 240.3, '
    '"millimetres_per_unit": 1.0, "camera": "realsense-d435"}'
)

ACCEPTED: Final[dict[str, Any]] = {
    "operation_id": _OPERATION,
    "subject_id": "user-8c41",
    "state": "queued",
    "created_at": "2026-03-04T10:00:00.120000Z",
    "links": {"operation": f"/v1/operations/{_OPERATION}"},
}

_LIGHT: Final = "Your face needs more light; do not stand with your back to a window."
_SMILE: Final = "Look relaxed, without smiling."

SELFIE: Final[dict[str, Any]] = {
    "accepted": True,
    "used": True,
    "score": 62.0,
    "unified_score": 71.5,
    "hints": [_LIGHT, _SMILE],
    "measures": [
        {
            "name": "face_count",
            "raw": 1.0,
            "unit": "faces",
            "score": 100.0,
            "verdict": "good",
            "hint": "",
            "component": "single face present",
            "code": "",
            "advice": False,
        },
        {
            "name": "exposure",
            "raw": 40.0,
            "unit": "luma",
            "score": 62.0,
            "verdict": "warning",
            "hint": _LIGHT,
            "component": "luminance mean",
            "code": "too-dark",
            "advice": False,
        },
        {
            "name": "expression_neutrality",
            "raw": 0.24,
            "unit": "ratio",
            "score": 59.3,
            "verdict": "warning",
            "hint": _SMILE,
            "component": "expression neutrality",
            "code": "not-neutral",
            "advice": True,
        },
    ],
    "problem": None,
}

OPERATION: Final[dict[str, Any]] = {
    "operation_id": _OPERATION,
    "subject_id": "user-8c41",
    "state": "succeeded",
    "stage": "done",
    "progress": 1.0,
    "attempts": 1,
    "version": 7,
    "backend": "facemesh",
    "selfies": [SELFIE],
    "template_id": _TEMPLATE,
    "problem": None,
    "created_at": "2026-03-04T10:00:00.120000Z",
    "updated_at": "2026-03-04T10:00:00.480000Z",
    "ended_at": "2026-03-04T10:00:00.480000Z",
    "links": {"self": f"/v1/operations/{_OPERATION}", "mesh": _MESH},
}

TEMPLATES: Final[dict[str, Any]] = {
    "subject_id": "user-8c41",
    "templates": [
        {
            "template_id": _TEMPLATE,
            "operation_id": _OPERATION,
            "state": "active",
            "origin": "enrollment",
            "parent_id": None,
            "model": "ict-facekit-light",
            "source": "selfies-photometric/visible",
            "calibration": "released-1@0123456789ab",
            "quality": 71.5,
            "created_at": "2026-03-04T10:00:00.470000Z",
            "activated_at": "2026-03-04T10:00:00.470000Z",
            "retired_at": None,
            "links": {"mesh": _MESH},
        }
    ],
}

RECEIPT: Final[dict[str, Any]] = {
    "receipt_id": "rcpt_3d2c1b0a9f8e7d6c5b4a392817060504",
    "subject_id": "user-8c41",
    "subject_digest": "9f" * 32,
    "deleted_at": "2026-03-05T09:00:00Z",
    "templates": 1,
    "operations": 1,
    "objects": 0,
    "keys": 1,
    "authentication": "3b" * 32,
}

VERIFICATION: Final[dict[str, Any]] = {
    "decision": "MATCH",
    "score": 3.6,
    "evidence": {"shape": 2.9, "appearance": 0.7},
    "presentation": {"bona_fide": 0.98},
    "frames_used": 2,
    "reasons": [],
    "reference_source": "selfies-photometric/visible",
    "probe_source": "realsense-d435",
    "calibration": "released-1@0123456789ab",
    "policy": "pilot-1",
    "strengthened": False,
    "milliseconds": {"decode": 4.1, "detect": 2.4, "landmarks": 2.6, "fit_and_compare": 38.0, "total": 47.1},
}

ATTACK: Final[dict[str, Any]] = {
    **VERIFICATION,
    "decision": "PRESENTATION_ATTACK",
    "score": None,
    "evidence": {},
    "presentation": {"bona_fide": 0.01},
    "reasons": [
        {
            "code": "presentation-screen",
            "hint": "Put away screens and glass, and stand before the camera yourself.",
        }
    ],
    "reference_source": None,
    "probe_source": None,
}

QUALITY: Final[dict[str, Any]] = {"accepted": True, "selfies": [SELFIE]}

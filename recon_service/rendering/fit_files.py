"""Everything that shows a fit: overlays, meshes, three views and a report, as files by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from recon_service.application.computing.enroll import EnrollmentResult, Selfie
from recon_service.domain.fit import CaptureFit, Fit
from recon_service.domain.mesh import Mesh
from recon_service.domain.morphable_model import MorphableModel
from recon_service.rendering.export import MESH_FORMATS, mesh_bytes
from recon_service.rendering.overlay import face_focus, overlay_png
from recon_service.rendering.views import three_views

REPORT = "report.json"


def fit_files(
    result: EnrollmentResult, names: Sequence[str], model: MorphableModel
) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, content) of everything to be kept of ``result``, one at a time so that progress
    shows.

    names: one per selfie, unique. Per accepted selfie ``NAME-overlay.png`` and ``NAME.glb`` (with the
    expression of that selfie); once per person ``face.glb``, ``face.ply``, ``face.obj`` (neutral) and
    ``face-views.png``; always ``report.json``.
    """
    yield REPORT, json.dumps(report(result, names, model), indent=2).encode()
    if result.fit is None:
        return
    focus = face_focus(model)
    for name, selfie, index in _accepted(result, names):
        fitted = result.fit.captures[index]
        mesh = result.fit.mesh(model, capture=index)
        if selfie.image is not None:
            posed = Mesh(fitted.pose.apply(mesh.vertices), mesh.triangles)
            yield f"{name}-overlay.png", overlay_png(selfie.image, posed, fitted.camera, focus=focus)
        yield f"{name}.glb", mesh_bytes(mesh, "glb", name=name)
    neutral = result.fit.mesh(model)
    yield "face-views.png", three_views(neutral)
    for kind in MESH_FORMATS:
        yield f"face.{kind}", mesh_bytes(neutral, kind)


def report(result: EnrollmentResult, names: Sequence[str], model: MorphableModel) -> dict[str, Any]:
    """What was found, as plain values for JSON: the posterior, and per image its quality and its fit."""
    fits = {name: index for name, _, index in _accepted(result, names)}
    images = []
    for name, selfie in zip(names, result.selfies, strict=True):
        fitted = result.fit.captures[fits[name]] if result.fit is not None and name in fits else None
        images.append({"name": name, **_selfie(selfie), "fit": None if fitted is None else _capture(fitted)})
    return {
        "model": model.name,
        "identity": None if result.fit is None else _identity(result.fit),
        "images": images,
    }


def _accepted(result: EnrollmentResult, names: Sequence[str]) -> Iterator[tuple[str, Selfie, int]]:
    """The name of each selfie that was used, the selfie, and its place among the captures of the fit."""
    accepted = ((name, selfie) for name, selfie in zip(names, result.selfies, strict=True) if selfie.used)
    for index, (name, selfie) in enumerate(accepted):
        yield name, selfie, index


def _identity(fit: Fit) -> dict[str, Any]:
    sd = np.sqrt(np.diag(fit.posterior.covariance))
    return {"space": fit.posterior.space, "mean": _rounded(fit.posterior.mean), "sd": _rounded(sd)}


def _selfie(selfie: Selfie) -> dict[str, Any]:
    measures = selfie.quality.measures if selfie.quality is not None else ()
    return {
        "accepted": selfie.accepted,
        "used": selfie.used,
        "problem": None
        if selfie.problem is None
        else {"code": selfie.problem.code, "detail": selfie.problem.detail, "hint": selfie.problem.next_step},
        "quality": [
            {
                "name": m.name,
                "value": round(float(m.raw), 4),
                "unit": m.unit,
                "score": round(float(m.score), 1),
                "verdict": m.verdict.value,
                "hint": m.hint,
            }
            for m in measures
        ],
    }


def _capture(fitted: CaptureFit) -> dict[str, Any]:
    yaw, pitch, roll = fitted.pose.angles()
    return {
        "yaw_degrees": round(yaw, 2),
        "pitch_degrees": round(pitch, 2),
        "roll_degrees": round(roll, 2),
        "distance_mm": round(float(fitted.pose.translation[2]), 1),
        "expression_norm": round(float(np.linalg.norm(fitted.expression)), 3),
        "focal_px": round(fitted.camera.fx, 2),
        "residual_rms": round(fitted.residual_rms, 4),
        "used_points": fitted.used_points,
    }


def _rounded(values: np.ndarray[Any, Any]) -> list[float]:
    return [round(float(v), 5) for v in values]

"""Bodies of models and calibrations, as they are on the wire, with their example."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self

from pydantic import Field

from recon_service.api.schemas import Body
from recon_service.api.schemas_fields import Count, MadeWithCalibration, ModelField
from recon_service.application.records.models import ModelsInForce
from recon_service.application.records.templates import TemplateState
from recon_service.application.reenrolling.models import ModelsOverview


class BackendBody(Body):
    """A reconstruction backend on a worker."""

    name: str = Field(
        description="Name of the reconstruction backend, as enrollments and batches ask for it."
    )
    problem: str = Field(description="Code of why it cannot run there; empty: it can.")
    next_step: str = Field(description="What can be done about that; empty: nothing has to.")


class OtherModelBody(Body):
    """A canonical model that a worker loads when a batch asks for it (``target.model``)."""

    model: str = Field(description="Name of the morphable model, for a batch's `target.model`.")
    calibration: str = Field(description="Calibration that goes with it: its name, `@` and its digest.")


class InForceBody(Body):
    """What a worker derives templates with."""

    model: str = Field(description="Name of the morphable model.")
    digest: str = Field(description="SHA-256 of the model's file, hex.")
    space: str = Field(
        description="Name of the space that its identity coefficients live in; only coefficients of one "
        "space are compared."
    )
    modes: int = Field(description="How many identity coefficients it has.")
    calibration: str = Field(description="Calibration in force: its name, `@` and its digest.")
    landmarks: str = Field(description="Scheme of the landmarks that are found in pictures.")
    appearance: str = Field(description="Name of the network that describes appearance; empty: none.")
    backends: list[BackendBody] = Field(
        description="Reconstruction backends that the worker knows, with why one cannot run."
    )
    others: list[OtherModelBody] = Field(
        description="What it can derive templates with besides, when a batch asks for it."
    )

    @classmethod
    def of(cls, models: ModelsInForce) -> Self:
        """On the wire."""
        backends = [
            BackendBody(name=b.name, problem=b.problem, next_step=b.next_step) for b in models.backends
        ]
        others = [OtherModelBody(model=o.model, calibration=o.calibration) for o in models.others]
        plain = {n: getattr(models, n) for n in cls.model_fields if n not in ("backends", "others")}
        return cls(**plain, backends=backends, others=others)


class WorkerBody(Body):
    """A worker that gave a sign of life."""

    worker_id: str = Field(description="Names the worker while it lives.")
    role: str = Field(description="What it works on; `batches` derives templates anew.")
    reported_at: datetime = Field(description="When it gave its last sign of life.")
    ready: bool = Field(description="Whether its models are loaded and can be used.")
    problem: str = Field(description="Code of why it cannot work; empty: it can.")
    next_step: str = Field(description="What can be done about that; empty: nothing has to.")
    resident_megabytes: float = Field(description="Memory that the worker's process holds, megabytes.")
    models: InForceBody | None = Field(description="What it derives templates with; null: nothing is loaded.")


class MadeByBody(Body):
    """Templates of one state that one model and calibration made from one kind of source."""

    model: ModelField
    calibration: MadeWithCalibration
    source: str = Field(description="What observed the faces, and in which light: `METHOD/LIGHT`.")
    state: TemplateState = Field(description="State that these templates are in.")
    templates: Count = Field(description="How many there are.")


class ModelsBody(Body):
    """Models and calibrations in force, the workers that run them, and which templates were made by which."""

    in_force: list[InForceBody] = Field(description="What workers derive templates with, each once.")
    workers: list[WorkerBody] = Field(description="Workers that gave a sign of life within 45 seconds.")
    templates: list[MadeByBody] = Field(description="Stored templates by what made them.")

    @classmethod
    def of(cls, found: ModelsOverview) -> Self:
        """On the wire."""
        return cls(
            in_force=[InForceBody.of(models) for models in found.in_force],
            workers=[
                WorkerBody(
                    worker_id=worker.worker_id,
                    role=worker.role,
                    reported_at=worker.reported_at,
                    ready=worker.models is not None and not worker.problem,
                    problem=worker.problem,
                    next_step=worker.next_step,
                    resident_megabytes=round(worker.resident_bytes / 1e6, 1),
                    models=InForceBody.of(worker.models) if worker.models else None,
                )
                for worker in found.workers
            ],
            templates=[
                MadeByBody(
                    model=c.model,
                    calibration=c.calibration,
                    source=c.source,
                    state=c.state,
                    templates=c.count,
                )
                for c in found.templates
            ],
        )


_MODELS: Final[dict[str, Any]] = {
    "model": "ict-facekit-light",
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "space": "ict-facekit-light/60",
    "modes": 60,
    "calibration": "released-1@0b9f2d4c6e8a",
    "landmarks": "facemesh468",
    "appearance": "",
    "backends": [
        {
            "name": "deca",
            "problem": "weights-unavailable",
            "next_step": "Run: recon weights pull --set deca",
        }
    ],
    "others": [{"model": "ict-facemesh468-builtin", "calibration": "released-1-builtin@a613079917a1"}],
}

MODELS: Final[dict[str, Any]] = {
    "in_force": [_MODELS],
    "workers": [
        {
            "worker_id": "worker-1-4711-0b9f2d4c",
            "role": "batches",
            "reported_at": "2026-03-04T10:00:00.120000Z",
            "ready": True,
            "problem": "",
            "next_step": "",
            "resident_megabytes": 92.4,
            "models": _MODELS,
        }
    ],
    "templates": [
        {
            "model": "ict-facekit-light",
            "calibration": "released-1@0b9f2d4c6e8a",
            "source": "selfies-photometric/visible",
            "state": "active",
            "templates": 20000,
        }
    ],
}

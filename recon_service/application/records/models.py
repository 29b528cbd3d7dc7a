"""Models and calibrations as the service speaks of them: what a worker runs, and what made which
templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recon_service.application.records.templates import TemplateState


@dataclass(frozen=True, slots=True)
class BackendStanding:
    """A reconstruction model on one worker. problem: code of why it cannot run there, empty if it can."""

    name: str
    problem: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A canonical model that a worker loads when a batch asks for it. calibration: that goes with it. choice:
    what ``RECON_MODEL`` calls it.
    """

    model: str
    calibration: str
    choice: str


@dataclass(frozen=True, slots=True)
class ModelsInForce:
    """What a worker derives templates with. model: name of the canonical model's file, digest: SHA-256 of it.
    space, modes: of its coefficients. calibration: name and digest. landmarks: of the pictures. appearance:
    name of the network, empty for none. others: what it can derive templates with besides.
    """

    model: str
    digest: str
    space: str
    modes: int
    calibration: str
    landmarks: str
    appearance: str
    backends: tuple[BackendStanding, ...] = ()
    others: tuple[OtherModel, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A sign of life. role: "batches". problem: code of why it cannot work, empty if it can; models None
    then.
    """

    worker_id: str
    role: str
    reported_at: datetime
    models: ModelsInForce | None
    problem: str = ""
    next_step: str = ""
    resident_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TemplateCount:
    """How many templates of one state one model and calibration made from one kind of source."""

    model: str
    calibration: str
    source: str
    state: TemplateState
    count: int

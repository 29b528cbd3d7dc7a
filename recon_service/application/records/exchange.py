"""What services hand each other: templates in a file that one recipient can open."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from recon_service.application.records.templates import TemplateOrigin, TemplateState


@dataclass(frozen=True, slots=True)
class ExchangedTemplate:
    """One version of one subject's template on its way. state, origin: where it comes from. content: as the
    template format wrote it, byte for byte.
    """

    subject_id: str
    template_id: str
    state: TemplateState
    origin: TemplateOrigin
    model: str
    source: str
    calibration: str
    quality: float
    created_at: datetime
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExchangeFile:
    """What a file says of itself. source: public key of the service that wrote it."""

    export_id: str
    source: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedTemplate:
    """A template of a file that was not taken, and why, by code."""

    template_id: str
    code: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file. already_there: bit-equal, so that a file can be imported again after a fault.
    complete: whether the end of the file was reached.
    """

    export_id: str
    source: str
    imported: int
    already_there: int
    refused: tuple[RefusedTemplate, ...]
    complete: bool = True

"""Templates as they are kept: versions of one subject's reference, of which one is in force."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TemplateState(StrEnum):
    """CANDIDATE: made, but nobody is compared with it yet. ACTIVE: the one that verifications use; a subject
    has at most one. RETIRED: was active; kept for a while so that it can be activated again.
    """

    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"


class TemplateOrigin(StrEnum):
    """What made a template."""

    ENROLLMENT = "enrollment"
    STRENGTHENING = "strengthening"
    REENROLLMENT = "re-enrollment"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class SealedTemplate:
    """A template as it is stored: what may be listed in clear, and the encrypted rest. operation_id: the
    enrollment that made it, None for another origin. parent_id: the template that it was derived from.
    activated_at, retired_at: of the last time, None when it never was.
    """

    template_id: str
    subject_id: str
    operation_id: str | None
    model: str
    source: str
    calibration: str
    quality: float
    created_at: datetime
    sealed: bytes = field(repr=False)
    state: TemplateState = TemplateState.CANDIDATE
    origin: TemplateOrigin = TemplateOrigin.ENROLLMENT
    parent_id: str | None = None
    activated_at: datetime | None = None
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionHead:
    """What a stored template says of where it came from: the fields of ``SealedTemplate`` of those names."""

    template_id: str
    subject_id: str
    model: str
    calibration: str
    state: TemplateState
    origin: TemplateOrigin
    parent_id: str | None

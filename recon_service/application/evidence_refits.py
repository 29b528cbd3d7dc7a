"""Fitting kept evidence again."""

from __future__ import annotations

from recon_service.application.pipeline import FacePipeline
from recon_service.application.records import EnrollmentOutcome
from recon_service.domain.errors import ModelMismatch


def refitted(content: bytes, pipeline: FacePipeline, *, backend: str) -> EnrollmentOutcome:
    raise ModelMismatch("no evidence format yet")

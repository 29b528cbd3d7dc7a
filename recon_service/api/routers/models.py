"""Models and calibrations: what is in force where, and what made which templates."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_models import MODELS, ModelsBody
from recon_service.api.security import Needs
from recon_service.api.service import service_of
from recon_service.application.records.access import Scope
from recon_service.application.reenrolling.models import overview_of_models

router = APIRouter(tags=["ops"])


@router.get(
    "/v1/models",
    summary="Models and calibrations, by worker and by template",
    response_description="What runs where, and what made which templates.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(MODELS), **documented(401, 403, 503)},
)
def models(request: Request) -> ModelsBody:
    """Workers report every ten seconds; who was silent for 45 is not listed."""
    return ModelsBody.of(overview_of_models(on=service_of(request).stores))

"""Quality checks: the gate of the enrollment, before there is an enrollment."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from recon_service.api.compute_turns import computed
from recon_service.api.examples import QUALITY
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_selfies import QualityBody, selfie_body
from recon_service.api.security import Needs
from recon_service.api.service import service_of
from recon_service.api.uploads import FormLimits, read_form
from recon_service.application.enrolling.quality_checks import check_quality
from recon_service.application.records.access import Scope

router = APIRouter(tags=["enroll"])

_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["selfies"],
                "properties": {
                    "selfies": {
                        "type": "array",
                        "description": "One to ten pictures of one person: JPEG, PNG, WebP, HEIC.",
                        "minItems": 1,
                        "maxItems": 10,
                        "items": {"type": "string", "format": "binary"},
                    }
                },
                "additionalProperties": False,
            }
        }
    },
}


@router.post(
    "/v1/quality-checks",
    summary="Ask whether selfies would do, without enrolling anybody",
    response_description="What the gate says; selfies that it rejects are a result, not an error.",
    dependencies=[Depends(Needs(Scope.ENROLL))],
    openapi_extra={"requestBody": _BODY},
    responses={200: example(QUALITY), **documented(400, 401, 403, 408, 413, 415, 422, 500, 503)},
)
async def quality_check(request: Request) -> QualityBody:
    """The same gate as the enrollment's, with hints for the person; nothing is stored."""
    service = service_of(request)
    limits = FormLimits(
        files={"selfies": service.settings.max_selfie_bytes},
        fields=frozenset(),
        total_bytes=service.settings.max_request_bytes,
        seconds=service.settings.upload_seconds,
    )
    form = await read_form(request, limits)
    selfies = form.files.get("selfies", [])
    reports = await computed(request, check_quality, selfies, compute=service.compute)
    return QualityBody(accepted=any(r.accepted for r in reports), selfies=[selfie_body(r) for r in reports])

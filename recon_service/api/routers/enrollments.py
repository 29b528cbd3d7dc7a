"""Enrollments: selfies come in, an operation goes out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool

from recon_service.api.examples import ACCEPTED
from recon_service.api.parameters import SubjectId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_fields import PRINTABLE_PATTERN
from recon_service.api.schemas_operations import EnrollmentAccepted, accepted_body, operation_path
from recon_service.api.security import Needs
from recon_service.api.service import Service, service_of
from recon_service.api.uploads import FormLimits, read_form
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.identifiers import check_subject_id
from recon_service.application.records.operations import BACKENDS, LANDMARKS_ALONE
from recon_service.domain.errors import InvalidValue

router = APIRouter(tags=["enroll"])

_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["selfies", "consent_id"],
                "properties": {
                    "selfies": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 10,
                        "items": {"type": "string", "format": "binary"},
                        "description": "JPEG, PNG, WebP or HEIC; best are three or more, "
                        "with the head turned by up to 30°.",
                    },
                    "consent_id": {
                        "type": "string",
                        "pattern": PRINTABLE_PATTERN,
                        "description": "Under which you recorded the person's consent: 1 to 200 printable "
                        "ASCII characters, no spaces.",
                        "example": "consent-2031",
                    },
                    "consent_expires_at": {
                        "type": "string",
                        "format": "date-time",
                        "description": "When the consent ends, with its time zone: then everything of the "
                        "subject is destroyed, unless a newer consent came.",
                        "example": "2027-03-01T00:00:00Z",
                    },
                    "keep_selfies": {
                        "type": "boolean",
                        "default": False,
                        "description": "Keep the selfies, encrypted: only where consent says so.",
                    },
                    "keep_evidence": {
                        "type": "boolean",
                        "default": False,
                        "description": "Keep what was seen in the selfies, without the pictures, encrypted, "
                        "for later models: only where consent says so.",
                    },
                    "keep_probes": {
                        "type": "boolean",
                        "default": False,
                        "description": "Keep what the last verifications of the subject saw, encrypted and "
                        "for a while, so that later templates can be tried on it: only where consent says "
                        "so.",
                    },
                    "batch": {
                        "type": "boolean",
                        "default": False,
                        "description": "Nobody waits for it: it is run after those that people wait for.",
                    },
                    "backend": {
                        "type": "string",
                        "enum": list(BACKENDS),
                        "default": LANDMARKS_ALONE,
                        "description": "A reconstruction model whose mesh adds to the evidence. One that "
                        "this service cannot run ends the operation as failed, saying why.",
                    },
                },
                "additionalProperties": False,
            }
        }
    },
}


@router.post(
    "/v1/subjects/{subject_id}/enrollments",
    status_code=202,
    response_model=EnrollmentAccepted,
    summary="Enroll a subject from 1 to 10 selfies",
    openapi_extra={"requestBody": _BODY},
    responses={
        202: {
            "description": "On record: the enrollment will be done whatever happens to the service.",
            "headers": {
                "Location": {"description": "The operation to follow.", "schema": {"type": "string"}},
                "Idempotent-Replayed": {
                    "description": "`true` when an earlier request with this key made the enrollment.",
                    "schema": {"type": "string"},
                },
            },
            **example(ACCEPTED),
        },
        **documented(400, 401, 403, 408, 409, 413, 415, 422, 500, 503),
    },
)
async def enroll(
    request: Request,
    response: Response,
    subject_id: SubjectId,
    key: Annotated[ApiKey, Depends(Needs(Scope.ENROLL))],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A new random value per enrollment, 1 to 200 printable ASCII characters without "
            "spaces; the same when the request is repeated. Left out: a repeated request is another "
            "enrollment.",
            json_schema_extra={"pattern": PRINTABLE_PATTERN},
        ),
    ] = None,
) -> EnrollmentAccepted | Response:
    """Put an enrollment on record and answer at once; follow it at the address in `Location`."""
    service = service_of(request)
    check_subject_id(subject_id)
    form = await read_form(request, _limits(service))
    wanted = EnrollmentRequest(
        subject_id=subject_id,
        selfies=tuple(form.files.get("selfies", ())),
        consent_id=form.require("consent_id"),
        consent_expires_at=_moment("consent_expires_at", form.fields.get("consent_expires_at")),
        keep_selfies=_flag("keep_selfies", form.fields.get("keep_selfies", "false")),
        keep_evidence=_flag("keep_evidence", form.fields.get("keep_evidence", "false")),
        keep_probes=_flag("keep_probes", form.fields.get("keep_probes", "false")),
        idempotency_key=idempotency_key,
        api_key_id=key.key_id,
        batch=_flag("batch", form.fields.get("batch", "false")),
        backend=form.fields.get("backend", LANDMARKS_ALONE),
        traceparent=request.state.traceparent,
    )
    acknowledged = await run_in_threadpool(
        request_enrollment,
        wanted,
        on=service.stores,
        queue=service.queue,
        budget=timedelta(seconds=service.settings.queue_budget_seconds),
        answer=lambda operation: accepted_body(operation).model_dump_json().encode(),
    )
    response.headers["Location"] = operation_path(acknowledged.operation.operation_id)
    if acknowledged.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if acknowledged.answer is not None:
        # What was said the first time, to the byte, whatever became of the enrollment since.
        return Response(acknowledged.answer, 202, dict(response.headers), "application/json")
    return accepted_body(acknowledged.operation)


def _limits(service: Service) -> FormLimits:
    settings = service.settings
    return FormLimits(
        files={"selfies": settings.max_selfie_bytes},
        fields=frozenset(
            {
                "consent_id",
                "consent_expires_at",
                "keep_selfies",
                "keep_evidence",
                "keep_probes",
                "batch",
                "backend",
            }
        ),
        total_bytes=settings.max_request_bytes,
        seconds=settings.upload_seconds,
    )


def _flag(name: str, text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
    except KeyError:
        raise InvalidValue(f"{name} must be true or false", next_step="Leave it out for false.") from None


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidValue(
            f"{name} must be a date and time", next_step="For example: 2027-03-01T00:00:00Z"
        ) from None

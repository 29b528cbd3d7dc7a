"""Verifications: a kiosk asks whether the person before it is the subject."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recon_service.api.examples import ATTACK, INTRINSICS, VERIFICATION
from recon_service.api.kiosk_headers import ProofHeader, SessionHeader, presented_proof
from recon_service.api.problems import documented
from recon_service.api.routers.enrollments import SUBJECT_ID
from recon_service.api.schemas import VerificationBody, examples, verification_body
from recon_service.api.security import Needs
from recon_service.api.service import Service, service_of
from recon_service.api.uploads import FormLimits, read_form
from recon_service.application.enrollments import check_subject_id
from recon_service.application.kiosk_sessions import required_proof
from recon_service.application.lockouts import verify_guarded
from recon_service.application.records import ApiKey, Scope
from recon_service.application.visits import KioskVisit
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import Forbidden, InvalidValue

router = APIRouter(tags=["verify"])
CARD_AND_PIN = "card-and-pin"


class Intrinsics(BaseModel):
    """What the kiosk says about its depth camera."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int = Field(ge=1, le=65535, description="Of the depth map, pixels.")
    height: int = Field(ge=1, le=65535)
    fx: float = Field(allow_inf_nan=False, description="Focal length, pixels.")
    fy: float = Field(allow_inf_nan=False)
    cx: float = Field(
        allow_inf_nan=False, description="Principal point; (0, 0) is the center of the first pixel."
    )
    cy: float = Field(allow_inf_nan=False)
    distortion: list[float] = Field(
        default_factory=lambda: [0.0] * 5,
        max_length=5,
        description="k1, k2, p1, p2, k3 as OpenCV orders them.",
    )
    millimetres_per_unit: float = Field(1.0, allow_inf_nan=False, description="Depth scale; 1000 for meters.")
    camera: str = Field(
        "generic",
        max_length=64,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name by which the calibration knows the camera.",
    )

    def pinhole(self) -> PinholeCamera:
        """The camera. Raises InvalidValue for values that no camera has."""
        padded = (*self.distortion, 0.0, 0.0, 0.0, 0.0, 0.0)
        k1, k2, p1, p2, k3 = padded[:5]
        return PinholeCamera(
            self.width, self.height, self.fx, self.fy, self.cx, self.cy, distortion=(k1, k2, p1, p2, k3)
        )


_FILES = {"type": "array", "minItems": 1, "maxItems": 10, "items": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["depth", "intrinsics"],
                "properties": {
                    "depth": {**_FILES, "description": "Depth maps of one visit: 16-bit gray PNG, or NPY."},
                    "intrinsics": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "description": "JSON: width, height, fx, fy, cx, cy; optional distortion, "
                        "millimetres_per_unit, camera.",
                        "example": INTRINSICS,
                    },
                    "confirmed": {
                        "type": "string",
                        "enum": [CARD_AND_PIN],
                        "description": "Card and PIN have confirmed who it is. For keys with the scope "
                        "`confirm`. Changes no decision; see docs/strengthening.md.",
                    },
                    "image": {
                        **_FILES,
                        "description": "One aligned picture per depth map: color, or gray PNG (infrared).",
                    },
                },
                "additionalProperties": False,
            }
        }
    },
}


@router.post(
    "/v1/subjects/{subject_id}/verifications",
    summary="Verify a subject by a depth capture",
    openapi_extra={"requestBody": _BODY},
    responses={
        200: examples(match=VERIFICATION, presentation_attack=ATTACK),
        **documented(400, 401, 403, 404, 408, 409, 413, 415, 422, 428, 500, 503),
    },
)
async def verify(
    request: Request,
    subject_id: Annotated[str, SUBJECT_ID],
    key: Annotated[ApiKey, Depends(Needs(Scope.VERIFY))],
    kiosk_session: SessionHeader = None,
    kiosk_proof: ProofHeader = None,
) -> VerificationBody:
    """Answers with a decision and keeps nothing of the visit, unless it strengthens the template.
    `NO_MATCH`, `INCONCLUSIVE` and `PRESENTATION_ATTACK` are results, not errors. Where kiosk sessions are
    required, a request without one is answered with 428.
    """
    service = service_of(request)
    check_subject_id(subject_id)
    form = await read_form(request, _limits(service))
    text = form.require("intrinsics")
    intrinsics = _intrinsics(text)
    visit = KioskVisit(
        depth=tuple(form.files.get("depth", ())),
        images=tuple(form.files.get("image", ())),
        camera=intrinsics.pinhole(),
        millimetres_per_unit=intrinsics.millimetres_per_unit,
        camera_name=intrinsics.camera,
        confirmed=_confirmed(form.fields.get("confirmed"), key),
    )
    presented = presented_proof(
        request, kiosk_session, kiosk_proof, subject_id=subject_id, visit=visit, intrinsics=text
    )
    required_proof(presented, service.kiosk_policy)
    outcome = await run_in_threadpool(
        verify_guarded,
        subject_id,
        visit,
        api_key_id=key.key_id,
        policy=service.lockouts,
        on=service.stores,
        compute=service.compute,
        presented=presented,
        strengthening=service.strengthening,
    )
    return verification_body(outcome)


def _confirmed(value: str | None, key: ApiKey) -> bool:
    """Raises InvalidValue for another value, Forbidden for a key that nobody trusts with that."""
    if value is None:
        return False
    if value != CARD_AND_PIN:
        raise InvalidValue("confirmed has one value", next_step=f"Send {CARD_AND_PIN}, or leave it out.")
    if Scope.CONFIRM not in key.scopes:
        raise Forbidden(
            "this key may not say that somebody was confirmed",
            next_step="Use a key made with --scope verify --scope confirm.",
        )
    return True


def _intrinsics(text: str) -> Intrinsics:
    try:
        return Intrinsics.model_validate_json(text)
    except ValidationError as fault:
        problems = fault.errors(include_input=False, include_url=False)[:5]
        what = "; ".join(f"{'.'.join(str(p) for p in e['loc']) or 'JSON'}: {e['msg']}" for e in problems)
        raise InvalidValue(f"intrinsics: {what}", next_step=f"Example: {INTRINSICS}") from None


def _limits(service: Service) -> FormLimits:
    settings = service.settings
    return FormLimits(
        files={"depth": settings.max_depth_bytes, "image": settings.max_depth_bytes},
        fields=frozenset({"intrinsics", "confirmed"}),
        total_bytes=settings.max_request_bytes,
        seconds=settings.upload_seconds,
    )

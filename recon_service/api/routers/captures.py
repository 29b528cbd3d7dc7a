"""Capture sessions: an app's back end makes one, and the page in the person's browser uses it up.

The page shows its secret as `Authorization: Bearer <session id>.<secret>`. It opens the calls below for this
one subject and nothing else; an API key opens none of them but the first.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from recon_service.api.compute_turns import computed
from recon_service.api.examples import SELFIE
from recon_service.api.problems import documented
from recon_service.api.routers.subjects import GLB
from recon_service.api.schemas import example
from recon_service.api.schemas_captures import (
    CAPTURE,
    CAPTURE_MADE,
    CAPTURE_WISH,
    CaptureBody,
    CaptureMadeBody,
    CaptureWishBody,
    capture_body,
)
from recon_service.api.schemas_selfies import SelfieBody, selfie_body
from recon_service.api.security import Needs
from recon_service.api.service import Service, service_of
from recon_service.api.uploads import read_body
from recon_service.application.enrolling.capture_tokens import (
    MAX_FRAMES,
    CaptureWish,
    OpenCapture,
    capture_mesh,
    keep_frame,
    make_capture,
    open_capture,
    start_enrollment,
)
from recon_service.application.errors import UnsupportedMedia
from recon_service.application.records.access import ApiKey, Scope
from recon_service.domain.errors import Unauthenticated

router = APIRouter(tags=["capture"])
MAX_FRAME_BYTES = 3_000_000
PICTURES = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/heif")
"""What phones keep; a browser that cannot read a chosen file sends it as it is."""

_FRAME: dict[str, Any] = {
    "required": True,
    "description": f"The picture file, up to {MAX_FRAME_BYTES:,} bytes.",
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES},
}


class NeedsCapture:
    """The endpoint serves the page: it asks for the secret of a session instead of an API key."""

    def __call__(self, request: Request) -> OpenCapture:
        """Raises Unauthenticated, TooManyRequests."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated("the request has no capture token", next_step="Open the link again.")
        capture = opened(token.strip(), service_of(request))
        request.state.capture = capture.session.session_id  # who sends what comes now
        return capture


def opened(token: str, service: Service) -> OpenCapture:
    """The session of a token, its request counted. Raises Unauthenticated, TooManyRequests."""
    capture = open_capture(token, on=service.stores)
    service.capture_limiter.take(capture.session.session_id)
    return capture


Capture = Annotated[OpenCapture, Depends(NeedsCapture())]


@router.post(
    "/v1/capture-sessions",
    status_code=201,
    summary="Make a link with which one person enrolls themself, once",
    response_description="The link was made; this answer alone has its secret.",
    openapi_extra={"requestBody": {"content": {"application/json": {"example": CAPTURE_WISH}}}},
    responses={201: example(CAPTURE_MADE), **documented(400, 401, 403, 422, 500, 503)},
)
def make_capture_session(
    request: Request, wish: CaptureWishBody, key: Annotated[ApiKey, Depends(Needs(Scope.ENROLL))]
) -> CaptureMadeBody:
    """The link ends with its time or with the first enrollment that succeeds. Give it to nobody but the
    person; nothing but its digest is stored.
    """
    service = service_of(request)
    made = make_capture(
        CaptureWish(
            subject_id=wish.subject_id,
            consent_id=wish.consent_id,
            keep_selfies=wish.keep_selfies,
            keep_evidence=wish.keep_evidence,
            keep_probes=wish.keep_probes,
            consent_expires_at=wish.consent_expires_at,
            language=wish.language,
            return_url=wish.return_url,
            lifetime=timedelta(minutes=wish.minutes),
        ),
        on=service.stores,
        api_key_id=key.key_id,
        return_urls=service.settings.capture_return_url_list,
    )
    return CaptureMadeBody(
        session_id=made.session.session_id,
        url=service.settings.capture_public_url.rstrip("/") + made.path,
        expires_at=made.session.expires_at,
    )


@router.get(
    "/v1/capture",
    summary="Where this session stands",
    response_description="The session as it stands.",
    responses={200: example(CAPTURE), **documented(401, 429, 500, 503)},
)
def capture_state(capture: Capture) -> CaptureBody:
    """What a page that was loaded again needs to go on: accepted frames, and the enrollment under way."""
    return capture_body(capture)


@router.put(
    "/v1/capture/frames/{number}",
    summary="Send one frame; the gate judges it at once",
    response_description="What the gate says; a frame that it rejects is a result, not an error.",
    openapi_extra={"requestBody": _FRAME},
    responses={200: example(SELFIE), **documented(400, 401, 408, 409, 413, 415, 422, 429, 500, 503)},
)
async def capture_frame(
    request: Request,
    capture: Capture,
    number: Annotated[
        int,
        Path(
            ge=0,
            lt=MAX_FRAMES,
            description="Place of the frame in the session, from 0; a frame in a place that is taken "
            "replaces it.",
            examples=[0],
        ),
    ],
) -> SelfieBody:
    """It is kept, encrypted, only when it is accepted. Sending it again changes nothing: repeat it when the
    answer was lost.
    """
    service = service_of(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in PICTURES:
        raise UnsupportedMedia(
            "a frame is a JPEG, PNG, WebP or HEIC file", next_step="Send its Content-Type."
        )
    content = await read_body(request, limit=MAX_FRAME_BYTES, seconds=service.settings.upload_seconds)
    report = await computed(
        request, keep_frame, capture, number, content, on=service.stores, compute=service.compute
    )
    return selfie_body(report)


@router.post(
    "/v1/capture/enrollment",
    status_code=202,
    summary="Enroll from the frames that were accepted",
    response_description="The session with its enrollment, which will be done whatever happens to the "
    "service.",
    responses={202: example(CAPTURE), **documented(401, 409, 429, 500, 503)},
)
def capture_enrollment(request: Request, capture: Capture) -> CaptureBody:
    """Three frames or more. Asked again it answers with the same enrollment; after one that was rejected the
    session takes frames again, five times in all.
    """
    service = service_of(request)
    budget = timedelta(seconds=service.settings.queue_budget_seconds)
    start_enrollment(capture, on=service.stores, queue=service.queue, budget=budget)
    token = f"{capture.session.session_id}.{capture.secret}"
    return capture_body(open_capture(token, on=service.stores))


@router.get(
    "/v1/capture/mesh.glb",
    summary="The face that this session's enrollment gave",
    response_description="Binary glTF, meters, y up: the most probable face, neutral.",
    response_class=Response,
    responses={
        200: {"content": {GLB: {"schema": {"type": "string", "format": "binary"}}}},
        **documented(401, 404, 429, 500, 503),
    },
)
async def capture_mesh_file(request: Request, capture: Capture) -> Response:
    """Binary glTF in meters. Until the session's time is over; in the audit log each time."""
    service = service_of(request)
    content = await computed(request, capture_mesh, capture, on=service.stores, compute=service.compute)
    return Response(content, media_type=GLB)

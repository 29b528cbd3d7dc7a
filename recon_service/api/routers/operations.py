"""Operations: one answer, or a stream of events until the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from recon_service.api.examples import OPERATION
from recon_service.api.problems import documented
from recon_service.api.schemas import OperationBody, operation_body
from recon_service.api.security import Needs
from recon_service.api.service import Service, service_of
from recon_service.application.operations import get_operation
from recon_service.application.records import Operation, Scope
from recon_service.domain.errors import NotFound

router = APIRouter(tags=["enroll", "ops"])

POLL_S: Final = 0.1
KEEP_ALIVE_S: Final = 10.0
STREAM_LIMIT_S: Final = 600.0
"""Then the stream ends without an end event, and the client connects again."""


@router.get(
    "/v1/operations/{operation_id}",
    summary="How far an enrollment is",
    dependencies=[Depends(Needs(Scope.ENROLL, Scope.OPS))],
    response_model=OperationBody,
    responses={
        200: {
            "description": "The operation. With `Accept: text/event-stream`: `progress` events until an "
            "`end` event, each with the whole operation as data.",
            "content": {
                "application/json": {"example": OPERATION},
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": 'event: end\nid: 7\ndata: {"state": "succeeded", "…": "…"}\n\n',
                },
            },
        },
        204: {"description": "Only for a stream: `Last-Event-ID` is the end, there is nothing more to say."},
        **documented(401, 403, 404),
    },
)
async def operation(
    request: Request,
    operation_id: str,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
    last_event_id: Annotated[
        str, Header(alias="Last-Event-ID", description="Sent by a browser that connects a stream again.")
    ] = "",
) -> Response:
    """The state of an operation with stage, progress and what is said about each selfie."""
    service = service_of(request)
    current = await run_in_threadpool(get_operation, operation_id, on=service.stores)
    if "text/event-stream" not in accept:
        return JSONResponse(operation_body(current).model_dump(mode="json"))
    if current.state.ended and last_event_id == str(current.version):
        return Response(status_code=204)  # tells a browser to connect no more
    return StreamingResponse(
        _events(current, service, request),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(current: Operation, service: Service, request: Request) -> AsyncIterator[str]:
    """Each event holds the whole operation, so a client that missed some has missed nothing."""
    begun = last_sign = time.monotonic()
    yield _event(current)
    while not current.state.ended and time.monotonic() - begun < STREAM_LIMIT_S:
        await asyncio.sleep(POLL_S)
        if await request.is_disconnected():
            return
        try:
            newer = await run_in_threadpool(get_operation, current.operation_id, on=service.stores)
        except NotFound:
            yield "event: deleted\ndata: {}\n\n"
            return
        if newer.version != current.version:
            current, last_sign = newer, time.monotonic()
            yield _event(current)
        elif time.monotonic() - last_sign > KEEP_ALIVE_S:
            last_sign = time.monotonic()
            yield ": still at work\n\n"


def _event(current: Operation) -> str:
    name = "end" if current.state.ended else "progress"
    return f"event: {name}\nid: {current.version}\ndata: {operation_body(current).model_dump_json()}\n\n"

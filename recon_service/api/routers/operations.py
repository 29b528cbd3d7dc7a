"""Operations: one answer, or a stream of events until the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from recon_service.api.examples import OPERATION
from recon_service.api.operation_watch import OperationWatch
from recon_service.api.parameters import OperationId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_operations import OperationBody, OperationsBody, operation_body
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import Service, service_of
from recon_service.application.enrolling.operations import MAX_LISTED, get_operation, list_dead, retry_dead
from recon_service.application.records.access import Scope
from recon_service.application.records.operations import Operation
from recon_service.domain.errors import NotFound

router = APIRouter(tags=["enroll", "ops"])

LOOK_S: Final = 1.0
"""Whether the client is still there."""
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
        **documented(401, 403, 404, 422),
    },
)
async def operation(
    request: Request,
    operation_id: OperationId,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
    last_event_id: Annotated[
        str,
        Header(
            alias="Last-Event-ID",
            description="Id of the last event that came, as a browser sends it that connects a stream again.",
        ),
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


@router.get(
    "/v1/operations",
    summary="List enrollments that were given up",
    response_description="A page of operations, newest first.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example({"operations": [OPERATION]}), **documented(401, 403, 422)},
)
def operations(
    request: Request,
    state: Annotated[Literal["dead"], Query(description="Given up after all attempts, for a fault of ours.")],
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED, description="Entries of a page, at most.")] = 100,
) -> OperationsBody:
    """Newest first. While they are listed their selfies are kept, encrypted, for another try."""
    found = list_dead(on=service_of(request).stores, limit=limit)
    return OperationsBody(operations=[operation_body(o) for o in found])


@router.post(
    "/v1/operations/{operation_id}/retry",
    status_code=202,
    summary="Try an enrollment again that was given up",
    response_description="The operation, which waits again.",
    responses={202: example(OPERATION), **documented(401, 403, 404, 409, 422, 503)},
)
def retry(request: Request, operation_id: OperationId, key: OpsKey) -> OperationBody:
    """It waits again, with all its attempts. Only a dead operation can be tried again."""
    service = service_of(request)
    return operation_body(retry_dead(operation_id, on=service.stores, queue=service.queue, actor=key.key_id))


async def _events(current: Operation, service: Service, request: Request) -> AsyncIterator[str]:
    """Each event holds the whole operation, so a client that missed some has missed nothing."""
    begun = last_sign = time.monotonic()
    yield _event(current)
    watch: OperationWatch = request.app.state.operation_watch
    while not current.state.ended and time.monotonic() - begun < STREAM_LIMIT_S:
        changed = await watch.changed(current.operation_id, current.version, limit_s=LOOK_S)
        if await request.is_disconnected():
            return
        if changed:
            try:
                current = await run_in_threadpool(get_operation, current.operation_id, on=service.stores)
            except NotFound:
                yield "event: deleted\ndata: {}\n\n"
                return
            last_sign = time.monotonic()
            yield _event(current)
        elif time.monotonic() - last_sign > KEEP_ALIVE_S:
            last_sign = time.monotonic()
            yield ": still at work\n\n"


def _event(current: Operation) -> str:
    name = "end" if current.state.ended else "progress"
    return f"event: {name}\nid: {current.version}\ndata: {operation_body(current).model_dump_json()}\n\n"

"""Guidance by the server, for browsers that cannot run the face model themselves: small pictures go in, what
the gate sees in them comes out, one after the other over one WebSocket. Nothing is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

from fastapi import APIRouter, WebSocket
from fastapi.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from recon_service.api.compute_turns import computed
from recon_service.api.routers.captures import opened
from recon_service.api.schemas_selfies import selfie_body
from recon_service.api.service import Service
from recon_service.application.enrolling.quality_checks import check_quality
from recon_service.domain.errors import ReconError, ServiceFault

router = APIRouter()

MAX_PICTURE_BYTES: Final = 80_000
FIRST_WORD_S: Final = 10.0
LONGEST_S: Final = 600.0
SHORTEST_INTERVAL_S: Final = 0.08
UNREADABLE: Final = 4400
REFUSED: Final = 4401
TOO_LARGE: Final = 4413
TOO_MANY: Final = 4429
SOCKETS: Final = 2
"""Of one session at a time: a page that connects again may overlap with what is left of itself."""
_open: Counter[str] = Counter()


@router.websocket("/v1/capture/guidance")
async def guidance(socket: WebSocket) -> None:
    """First message: the capture token as text (a WebSocket of a browser has no headers of its own). Then
    JPEG files of up to 80 kB; each is answered with the measures of the gate, or with ``busy``.
    """
    await socket.accept()
    try:
        await _serve(socket)
    except (WebSocketDisconnect, TimeoutError):
        return
    except KeyError:  # text where bytes are awaited, or bytes where text is
        await socket.close(UNREADABLE, "bad-request")


async def _serve(socket: WebSocket) -> None:
    service = socket.app.state.service
    token = await asyncio.wait_for(socket.receive_text(), FIRST_WORD_S)
    try:
        capture = await run_in_threadpool(opened, token[:200], service)
    except ReconError as problem:
        await socket.close(REFUSED, problem.code)
        return
    session_id = socket.state.capture = capture.session.session_id
    if _open[session_id] >= SOCKETS:
        await socket.close(TOO_MANY, "too-many-requests")
        return
    _open[session_id] += 1
    try:
        await _look(socket, service)
    finally:
        _open[session_id] -= 1
        if not _open[session_id]:
            del _open[session_id]


async def _look(socket: WebSocket, service: Service) -> None:
    await socket.send_json({"ready": True})
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST_S:
        picture = await asyncio.wait_for(socket.receive_bytes(), LONGEST_S)
        if len(picture) > MAX_PICTURE_BYTES:
            await socket.close(TOO_LARGE, "payload-too-large")
            return
        earliest = time.monotonic() + SHORTEST_INTERVAL_S
        try:
            (report,) = await computed(socket, check_quality, [picture], compute=service.compute)
            answer = selfie_body(report).model_dump(mode="json")
        except ServiceFault:
            answer = {"busy": True}
        except ReconError as problem:
            answer = {"problem": problem.code}
        await asyncio.sleep(max(0.0, earliest - time.monotonic()))
        await socket.send_json(answer)
    await socket.close()

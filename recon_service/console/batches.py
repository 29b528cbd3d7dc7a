"""Batches, and the buttons that steer one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from recon_service.api.service import service_of
from recon_service.application.records.batches import Batch, BatchState, ItemState, Standing
from recon_service.application.reenrolling.batches import (
    BatchProgress,
    activate_batch,
    cancel_batch,
    list_batches,
    list_items,
    look_at_batch,
    pause_batch,
    resume_batch,
    retry_failed_items,
    roll_back_batch,
)
from recon_service.console.access import FormToken, Session
from recon_service.console.answers import ask_first, go, show
from recon_service.console.sessions import check_form
from recon_service.domain.errors import NotFound

router = APIRouter(prefix="/console", include_in_schema=False)

LISTED: Final = 50
ITEMS: Final = 100


@dataclass(frozen=True, slots=True)
class Button:
    """reached: states of a batch that has been brought where the button brings it. question: asked before.
    careful: it takes something back, or for good.
    """

    label: str
    press: Callable[..., Batch | tuple[Batch, int]]
    reached: tuple[BatchState, ...] = ()
    question: str = ""
    careful: bool = False


BUTTONS: Final = {
    "pause": Button("Pause", pause_batch, (BatchState.PAUSED,)),
    "resume": Button("Resume", resume_batch, (BatchState.RUNNING, BatchState.READY)),
    "cancel": Button(
        "Cancel the batch",
        cancel_batch,
        (BatchState.CANCELLED,),
        "Nothing more of this batch will be worked on, for good; what succeeded is kept. Go on?",
        careful=True,
    ),
    "activate": Button(
        "Activate",
        activate_batch,
        (BatchState.ACTIVATING, BatchState.ACTIVE),
        "Compare everybody in this batch with the new templates from now on?",
    ),
    "roll-back": Button(
        "Roll back",
        roll_back_batch,
        (BatchState.ROLLING_BACK, BatchState.ROLLED_BACK),
        "Put the former templates in force again?",
        careful=True,
    ),
    "retry-failed": Button("Retry what failed", retry_failed_items),
}
OFFERED: Final = {
    BatchState.RUNNING: ("pause", "cancel"),
    BatchState.PAUSED: ("resume", "cancel"),
    BatchState.READY: ("activate", "retry-failed"),
    BatchState.CANCELLED: ("activate",),
    BatchState.ACTIVATING: ("roll-back",),
    BatchState.ACTIVE: ("roll-back", "retry-failed"),
    BatchState.ROLLED_BACK: ("activate", "retry-failed"),
}


@router.get("/batches")
def batches(request: Request, session: Session, before: datetime | None = None) -> Response:
    """Batches, newest first."""
    found = list_batches(on=service_of(request).stores, limit=LISTED, before=before)
    return show(request, session, "batches.html", batches=found, listed=LISTED, before=before)


@router.get("/batches/{batch_id}")
def batch(
    request: Request, session: Session, batch_id: str, state: ItemState | None = None, after: str = ""
) -> Response:
    """One batch with its items."""
    stores = service_of(request).stores
    progress = look_at_batch(batch_id, on=stores)
    items = list_items(batch_id, on=stores, state=state, after=after, limit=ITEMS)
    return show(
        request,
        session,
        "batch.html",
        progress=progress,
        unlisted=0 if progress.batch.listed_at else max(0, progress.batch.expected - progress.tally.listed),
        items=items,
        state=state,
        after=after,
        states=list(ItemState),
        more=items[-1].subject_id if len(items) == ITEMS else None,
        buttons=_offered(progress),
    )


@router.post("/batches/{batch_id}/{name}")
def press(
    request: Request,
    session: Session,
    batch_id: str,
    name: str,
    form_token: FormToken,
    seen: Annotated[str, Form(max_length=40)] = "",
    sure: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """What a button of a batch does. seen: the state in which the page showed it; sure: the question was
    asked.
    """
    check_form(session, form_token)
    button = BUTTONS.get(name)
    if button is None:
        raise NotFound("there is no such button", next_step="Press one of those on the batch's page.")
    stores, address = service_of(request).stores, f"/console/batches/{batch_id}"
    state = look_at_batch(batch_id, on=stores).batch.state
    if state in button.reached and seen != state.value:
        return go(request, address, said="already")  # pressed twice, or by somebody else meanwhile
    if button.question and sure != "yes":
        return ask_first(
            request,
            session,
            question=button.question,
            label=button.label,
            careful=button.careful,
            address=f"{address}/{name}",
            back=address,
            seen=seen,
        )
    done = button.press(batch_id, actor=session.key.key_id, on=stores)
    if isinstance(done, tuple):
        return go(request, address, said=name if done[1] else "nothing-failed", number=done[1])
    return go(request, address, said=name)


def _offered(found: BatchProgress) -> list[tuple[str, Button]]:
    """The buttons that its state allows, and that have something to do."""
    again = found.tally.states.get(ItemState.FAILED) or found.tally.standings.get(Standing.SUPERSEDED)
    names = OFFERED.get(found.batch.state, ())
    return [(name, BUTTONS[name]) for name in names if again or name != "retry-failed"]

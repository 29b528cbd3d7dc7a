"""Batches of re-enrollment: paused, resumed, cancelled, activated, rolled back, tried again."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request

from recon_service.api.examples_batches import BATCH, RETRIED
from recon_service.api.parameters import BatchId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_batches import BatchBody, RetriedBody
from recon_service.api.security import OpsKey
from recon_service.api.service import service_of
from recon_service.application.records.access import ApiKey
from recon_service.application.reenrolling.batches import (
    activate_batch,
    cancel_batch,
    look_at_batch,
    pause_batch,
    resume_batch,
    retry_failed_items,
    roll_back_batch,
)

router = APIRouter(tags=["ops"])
_CHANGE = {200: example(BATCH), **documented(401, 403, 404, 409, 422, 503)}


@router.post(
    "/v1/batches/{batch_id}:pause",
    summary="Begin nothing more for now",
    response_description="The batch, paused.",
    responses=_CHANGE,
)
def batch_pause(request: Request, batch_id: BatchId, key: OpsKey) -> BatchBody:
    """What is under way ends; what was taken and not begun waits again."""
    return _changed(request, batch_id, key, pause_batch)


@router.post(
    "/v1/batches/{batch_id}:resume",
    summary="Go on with a paused batch",
    response_description="The batch, under way again.",
    responses=_CHANGE,
)
def batch_resume(request: Request, batch_id: BatchId, key: OpsKey) -> BatchBody:
    """Where it was."""
    return _changed(request, batch_id, key, resume_batch)


@router.post(
    "/v1/batches/{batch_id}:cancel",
    summary="Begin nothing more, for good",
    response_description="The batch, cancelled.",
    responses=_CHANGE,
)
def batch_cancel(request: Request, batch_id: BatchId, key: OpsKey) -> BatchBody:
    """Candidates that were made may still be activated; otherwise retention destroys them."""
    return _changed(request, batch_id, key, cancel_batch)


@router.post(
    "/v1/batches/{batch_id}:activate",
    summary="Put the candidates of a batch in force",
    response_description="The batch, whose candidates are taking their places.",
    responses=_CHANGE,
)
def batch_activate(request: Request, batch_id: BatchId, key: OpsKey) -> BatchBody:
    """Subject by subject, each in one step. Who got another template meanwhile keeps that one
    (`superseded`).
    """
    return _changed(request, batch_id, key, activate_batch)


@router.post(
    "/v1/batches/{batch_id}:rollback",
    summary="Put the former templates in force again",
    response_description="The batch, whose former templates are taking their places again.",
    responses=_CHANGE,
)
def batch_rollback(request: Request, batch_id: BatchId, key: OpsKey) -> BatchBody:
    """As they were, to the byte, for as long as retention keeps them (`RECON_RETIRED_DAYS`)."""
    return _changed(request, batch_id, key, roll_back_batch)


@router.post(
    "/v1/batches/{batch_id}:retry-failed",
    summary="Try the items of a batch again that failed",
    response_description="How many items wait again.",
    responses={200: example(RETRIED), **documented(401, 403, 404, 409, 422, 503)},
)
def batch_retry_failed(request: Request, batch_id: BatchId, key: OpsKey) -> RetriedBody:
    """And those whose candidate was `superseded`: it is derived from the template in force now."""
    stores = service_of(request).stores
    _, count = retry_failed_items(batch_id, actor=key.key_id, on=stores)
    return RetriedBody(items=count, batch=BatchBody.of(look_at_batch(batch_id, on=stores)))


def _changed(request: Request, batch_id: str, key: ApiKey, change: Callable[..., object]) -> BatchBody:
    stores = service_of(request).stores
    change(batch_id, actor=key.key_id, on=stores)
    return BatchBody.of(look_at_batch(batch_id, on=stores))

"""Batches of re-enrollment: asked for, watched, compared, evaluated."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import AwareDatetime

from recon_service.api.examples_batches import (
    BATCH,
    BATCHES,
    COMPARISON,
    ITEMS,
    PREVIEW,
    REQUEST,
    SUBMITTED,
)
from recon_service.api.parameters import BatchId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_batch_requests import BatchRequest
from recon_service.api.schemas_batches import (
    BatchBody,
    BatchesBody,
    ItemBody,
    ItemsBody,
    PreviewBody,
    SubmittedBody,
    batch_path,
)
from recon_service.api.schemas_comparison import ComparisonBody
from recon_service.api.schemas_evaluations import EVALUATIONS, BatchEvaluationBody, EvaluationsBody
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import service_of
from recon_service.application.records.access import Scope
from recon_service.application.records.batches import ItemState, Standing
from recon_service.application.reenrolling.batch_comparison import MAX_SAMPLE, compare_batch
from recon_service.application.reenrolling.batch_evaluations import evaluate_batch, evaluations_of
from recon_service.application.reenrolling.batches import (
    MAX_PAGE,
    list_batches,
    list_items,
    look_at_batch,
    preview_batch,
    submit_batch,
)

router = APIRouter(tags=["ops"])
_LOOK = documented(401, 403, 404, 422, 503)


@router.post(
    "/v1/batches",
    status_code=202,
    summary="Derive the templates of many subjects anew",
    responses={
        200: {
            "model": SubmittedBody,
            "description": "A dry run: nothing was kept.",
            **example({"preview": PREVIEW, "batch": None}),
        },
        202: {
            "description": "On record: workers begin by themselves, and nothing is in force before "
            "`:activate`.",
            "headers": {"Location": {"description": "The batch.", "schema": {"type": "string"}}},
            **example(SUBMITTED),
        },
        **documented(401, 403, 422, 503),
    },
)
def batch_submit(
    request: Request,
    response: Response,
    wanted: Annotated[BatchRequest, Body(openapi_examples={"calibration": {"value": REQUEST}})],
    key: OpsKey,
) -> SubmittedBody:
    """Subjects are selected by what their template in force is; who enrolls later is no part of it."""
    stores = service_of(request).stores
    selection, target = wanted.selection.selection(), wanted.target.target()
    if wanted.dry_run:
        response.status_code = 200
        return SubmittedBody(preview=PreviewBody.of(preview_batch(selection, target, on=stores)), batch=None)
    batch, found = submit_batch(selection, target, priority=wanted.priority, actor=key.key_id, on=stores)
    response.headers["Location"] = batch_path(batch.batch_id)
    looked = look_at_batch(batch.batch_id, on=stores)
    return SubmittedBody(preview=PreviewBody.of(found), batch=BatchBody.of(looked))


@router.get(
    "/v1/batches",
    summary="List batches",
    response_description="A page of batches, newest first.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(BATCHES), **documented(401, 403, 422, 503)},
)
def batches(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="Entries of a page, at most.")] = 20,
    before: Annotated[
        AwareDatetime | None,
        Query(
            description="Batches submitted before that moment alone, with its time zone: `created_at` of "
            "the last of a page gives the next."
        ),
    ] = None,
) -> BatchesBody:
    """Newest first, with their counts."""
    found = list_batches(on=service_of(request).stores, limit=limit, before=before)
    return BatchesBody(batches=[BatchBody.of(progress) for progress in found])


@router.get(
    "/v1/batches/{batch_id}",
    summary="How far a batch is",
    response_description="The batch as it stands.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(BATCH), **_LOOK},
)
def batch(request: Request, batch_id: BatchId) -> BatchBody:
    """Counts, rate, time left, and why items did not succeed."""
    return BatchBody.of(look_at_batch(batch_id, on=service_of(request).stores))


@router.get(
    "/v1/batches/{batch_id}/items",
    summary="List the items of a batch",
    response_description="A page of items, in the order of their subjects.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(ITEMS), **_LOOK},
)
def batch_items(
    request: Request,
    batch_id: BatchId,
    state: Annotated[
        ItemState | None,
        Query(description="Items in this state alone; `needs-new-selfie`: whom to ask for one."),
    ] = None,
    standing: Annotated[Standing | None, Query(description="Items whose candidate stands so, alone.")] = None,
    after: Annotated[
        str, Query(max_length=64, description="Items of subjects behind this id; `next` has it filled in.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Entries of a page, at most.")] = 100,
) -> ItemsBody:
    """In the order of their subjects."""
    found = list_items(
        batch_id,
        on=service_of(request).stores,
        state=state,
        standing=standing,
        after=after,
        limit=limit,
    )
    following = None
    if len(found) == limit:
        wish = {"state": state and state.value, "standing": standing and standing.value, "limit": limit}
        query = urlencode({k: v for k, v in wish.items() if v} | {"after": found[-1].subject_id})
        following = f"{batch_path(batch_id)}/items?{query}"
    return ItemsBody(batch_id=batch_id, items=[ItemBody.of(item) for item in found], next=following)


@router.get(
    "/v1/batches/{batch_id}/comparison",
    summary="What the activation of a batch would change",
    response_description="What would change, from a sample.",
    responses={200: example(COMPARISON), **documented(401, 403, 404, 422, 500, 503)},
)
def batch_comparison(
    request: Request,
    batch_id: BatchId,
    key: OpsKey,
    sample: Annotated[
        int, Query(ge=1, le=MAX_SAMPLE, description="How many subjects to look at, drawn by chance.")
    ] = 200,
    outliers: Annotated[
        int, Query(ge=0, le=100, description="How many of those to list who would change most.")
    ] = 10,
) -> ComparisonBody:
    """From a sample of its candidates, each against the template that it was derived from. Scores are of
    recent probes, where consent lets them be kept, and of the visits that strengthening kept. Evaluations are
    there once `:evaluate` was asked for. This goes to the audit log.
    """
    service = service_of(request)
    found = compare_batch(
        batch_id,
        on=service.stores,
        compute=service.compute,
        actor=key.key_id,
        sample=sample,
        outliers=outliers,
    )
    return ComparisonBody.of(found)


@router.post(
    "/v1/batches/{batch_id}:evaluate",
    status_code=202,
    summary="Try the former and the new way on the same people",
    response_description="On record; the evaluations as they stand.",
    responses={202: example(EVALUATIONS), **documented(401, 403, 404, 409, 422, 500, 503)},
)
def batch_evaluate(
    request: Request,
    batch_id: BatchId,
    key: OpsKey,
    again: Annotated[bool, Query(description="Also the evaluations that are done already.")] = False,
) -> EvaluationsBody:
    """On simulated people, and on those of `RECON_EVALUATION_SET`. A worker does it when it has nothing more
    urgent; it takes minutes. What was looked at before is not looked at again.
    """
    service = service_of(request)
    found = evaluate_batch(
        batch_id, sets=service.evaluation_sets, again=again, actor=key.key_id, on=service.stores
    )
    return EvaluationsBody(batch_id=batch_id, evaluations=[BatchEvaluationBody.of(one) for one in found])


@router.get(
    "/v1/batches/{batch_id}/evaluations",
    summary="How far the evaluations of a batch are, and what they found",
    response_description="The evaluations that were asked for.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(EVALUATIONS), **_LOOK},
)
def batch_evaluations(request: Request, batch_id: BatchId) -> EvaluationsBody:
    """Those that were asked for."""
    found = evaluations_of(batch_id, on=service_of(request).stores)
    return EvaluationsBody(batch_id=batch_id, evaluations=[BatchEvaluationBody.of(one) for one in found])

"""API keys, the audit log and the list of subjects, from any machine."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from recon_service.api.parameters import KeyId
from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_administration import (
    CHECK,
    ENTRIES,
    KEYS,
    NEW_KEY,
    SUBJECTS,
    AuditCheckBody,
    AuditCheckRequest,
    AuditEntriesBody,
    AuditEntryBody,
    KeyBody,
    KeyRequest,
    KeysBody,
    NewKeyBody,
    SubjectBody,
    SubjectsBody,
)
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import service_of
from recon_service.application.keeping.audit import subject_digest
from recon_service.application.keeping.audit_ends import check_audit
from recon_service.application.keeping.keys import create_api_key, list_api_keys, revoke_api_key
from recon_service.application.records.access import Scope
from recon_service.application.records.audit import AuditHead
from recon_service.application.templates.subjects import MAX_LISTED, list_subjects
from recon_service.domain.errors import Forbidden

router = APIRouter(tags=["ops"])
Limit = Annotated[int, Query(ge=1, le=MAX_LISTED, description="Entries of a page, at most.")]


@router.get(
    "/v1/subjects",
    summary="List subjects",
    response_description="A page of subjects, in the order of their ids.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(SUBJECTS), **documented(401, 403, 422, 503)},
)
def subject_list(
    request: Request,
    after: Annotated[
        str, Query(max_length=64, description="`next_after` of the page before; left out: the first page.")
    ] = "",
    limit: Limit = 100,
) -> SubjectsBody:
    """In the order of their ids, page by page."""
    found = list_subjects(on=service_of(request).stores, after=after, limit=limit)
    return SubjectsBody(
        subjects=[SubjectBody(subject_id=name, created_at=moment) for name, moment in found],
        next_after=found[-1][0] if len(found) == limit else None,
    )


@router.get(
    "/v1/api-keys",
    summary="List API keys",
    response_description="Every key, oldest first, the revoked ones too.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(KEYS), **documented(401, 403, 503)},
)
def api_key_list(request: Request) -> KeysBody:
    """Without their secrets, of which only hashes are kept."""
    return KeysBody(keys=[KeyBody.of(key) for key in list_api_keys(on=service_of(request).stores)])


@router.post(
    "/v1/api-keys",
    status_code=201,
    summary="Make an API key",
    response_description="The key was made; this answer alone has its secret.",
    responses={201: example(NEW_KEY), **documented(400, 401, 403, 422, 503)},
)
def api_key_make(request: Request, wanted: KeyRequest, key: OpsKey) -> NewKeyBody:
    """It may do no more than the key that asks for it. The token is in this answer and nowhere else."""
    lacking = sorted(scope.value for scope in set(wanted.scopes) - key.scopes)
    if lacking:
        raise Forbidden(
            f"this key cannot give what it does not have: {', '.join(lacking)}",
            next_step="Ask with a key that has these scopes, or on the service's own machine: "
            "recon keys create.",
        )
    made = create_api_key(wanted.name, wanted.scopes, on=service_of(request).stores, actor=key.key_id)
    return NewKeyBody(**KeyBody.of(made.key).model_dump(), token=made.token)


@router.delete(
    "/v1/api-keys/{key_id}",
    status_code=204,
    response_class=Response,
    summary="Revoke an API key",
    response_description="Revoked.",
    responses=documented(401, 403, 404, 422, 503),
)
def api_key_revoke(request: Request, key_id: KeyId, key: OpsKey) -> Response:
    """From now on it opens nothing."""
    revoke_api_key(key_id, on=service_of(request).stores, actor=key.key_id)
    return Response(status_code=204)


@router.get(
    "/v1/audit-entries",
    summary="Read the audit log",
    response_description="A page of the log, oldest first.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(ENTRIES), **documented(401, 403, 422, 503)},
)
def audit_entries(
    request: Request,
    after: Annotated[
        int, Query(ge=0, le=2**62, description="`next_after` of the page before; left out: the first page.")
    ] = 0,
    subject: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Entries about this subject alone, by its id; also of one that was deleted.",
        ),
    ] = None,
    action: Annotated[
        str | None,
        Query(max_length=40, description="Entries of this action alone.", examples=["template.activated"]),
    ] = None,
    limit: Limit = 100,
) -> AuditEntriesBody:
    """Oldest first, page by page."""
    stores = service_of(request).stores
    wanted = subject_digest(subject, on=stores) if subject is not None else None
    with stores.database.snapshot() as tx:
        found = list(islice(tx.audit.entries(after=after, subject=wanted, action=action), limit))
    return AuditEntriesBody(
        entries=[AuditEntryBody.of(entry) for entry in found],
        next_after=found[-1].sequence if len(found) == limit else None,
    )


@router.post(
    "/v1/audit-checks",
    summary="Check that nobody has changed the audit log",
    response_description="What the check found; a log that was altered is a result too.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(CHECK), **documented(400, 401, 403, 422, 503)},
)
def audit_check(request: Request, asked: AuditCheckRequest) -> AuditCheckBody:
    """Reads the whole chain. A log that was set back together with its end is found out only by an end that
    was noted elsewhere: in the object store, every hour, and by you: `since`.
    """
    since = None
    if asked.since is not None:
        number, _, digest = asked.since.partition(":")
        since = AuditHead(int(number), digest)
    return AuditCheckBody.of(check_audit(on=service_of(request).stores, since=since))

"""Templates out of this service and into another, in files that one recipient can open."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from recon_service.api.problems import documented
from recon_service.api.schemas import example
from recon_service.api.schemas_exchange import (
    IDENTITY,
    IMPORTED,
    ExchangeIdentityBody,
    ExportRequest,
    ImportBody,
    import_body,
)
from recon_service.api.security import Needs, OpsKey
from recon_service.api.service import Service, service_of
from recon_service.application.errors import PayloadTooLarge, UploadTooSlow
from recon_service.application.keeping.signing import service_signer
from recon_service.application.records.access import Scope
from recon_service.application.records.exchange import ExchangeFile, ImportReport
from recon_service.application.templates.exchange import (
    Page,
    export_templates,
    import_templates,
    new_export_id,
    page_of_subjects,
)
from recon_service.exchanges import allowed_recipient, exchange_reader, trusted_sources
from recon_service.storage.exchange_file import write_file

router = APIRouter(tags=["ops"])
OCTETS: Final = "application/octet-stream"
CHUNK: Final = 1 << 20
STALL_S: Final = 60.0
"""An import may take long, but not stand still."""
_BINARY: Final[dict[str, Any]] = {OCTETS: {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/v1/exchange-identity",
    summary="The public keys for exporting and importing templates",
    response_description="The keys of this service, and those it trusts.",
    dependencies=[Depends(Needs(Scope.OPS))],
    responses={200: example(IDENTITY), **documented(401, 403, 500, 503)},
)
def identity(request: Request) -> ExchangeIdentityBody:
    """What the settings of the other service must name: `source` in its RECON_IMPORT_SOURCES, `recipient` in
    its RECON_EXPORT_RECIPIENTS.
    """
    service = service_of(request)
    settings = service.settings
    reader = exchange_reader(settings) if settings.import_identity_file else None
    return ExchangeIdentityBody(
        source=service_signer(on=service.stores).public,
        recipient=reader.recipient if reader else None,
        recipients=sorted(settings.listed_export_recipients),
        sources=sorted(trusted_sources(settings)),
    )


@router.post(
    "/v1/template-exports",
    summary="Export templates, encrypted to a recipient",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "An age file, with a signed count at its end: one that breaks off is noticed.",
            "content": _BINARY,
            "headers": {
                "Recon-Export-Id": {
                    "description": "Id of this export, which the import reports.",
                    "schema": {"type": "string"},
                },
                "Recon-Export-Count": {"description": "Templates in it.", "schema": {"type": "integer"}},
                "Recon-Next-After": {
                    "description": "`after` of the next page; missing after the last.",
                    "schema": {"type": "string"},
                },
            },
        },
        **documented(400, 401, 403, 408, 413, 415, 422, 500, 503),
    },
)
def export(request: Request, asked: ExportRequest, key: OpsKey) -> StreamingResponse:
    """Only to recipients that the settings name: an API key alone carries nothing out of the house."""
    service = service_of(request)
    stores = service.stores
    recipient = allowed_recipient(service.settings, asked.recipient)
    if asked.subjects is not None:
        page = Page(tuple(asked.subjects), None)
    else:
        page = page_of_subjects(on=stores, after=asked.after, limit=asked.limit)
    signer = service_signer(on=stores)
    file = ExchangeFile(new_export_id(), signer.public, stores.clock())
    entries = export_templates(
        page.subject_ids, on=stores, all_versions=asked.versions == "all", actor=key.key_id
    )
    spool = _spool(service)
    try:
        count = write_file(spool, file, entries, recipient=recipient, signer=signer)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    headers = {"Recon-Export-Id": file.export_id, "Recon-Export-Count": str(count)}
    if page.after is not None:
        headers["Recon-Next-After"] = page.after
    return StreamingResponse(
        _chunks(spool), media_type=OCTETS, headers=headers, background=BackgroundTask(spool.close)
    )


@router.post(
    "/v1/template-imports",
    summary="Import templates that another service exported to this one",
    response_description="What became of each template; one that was refused is a result, not an error.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The file, as the export answered it.",
            "content": _BINARY,
        }
    },
    responses={200: example(IMPORTED), **documented(401, 403, 408, 409, 413, 422, 500, 503)},
)
async def import_(
    request: Request,
    key: OpsKey,
    activate: Annotated[
        bool,
        Query(description="Whether what was in force there is in force here; else all come as candidates."),
    ] = False,
) -> ImportBody:
    """Checked as it comes: encryption, source, signature of every template. What is already there is left
    alone, so a file can be sent again.
    """
    service = service_of(request)
    exchange_reader(service.settings)  # says at once that nothing is imported here
    with _spool(service) as spool:
        await _receive(request, spool, service.settings.max_import_bytes)
        return import_body(await run_in_threadpool(_imported, spool, service, activate, key.key_id))


def _imported(spool: BinaryIO, service: Service, activate: bool, actor: str) -> ImportReport:
    spool.seek(0)
    with exchange_reader(service.settings).opened(spool) as opened:
        return import_templates(
            opened.file, opened.entries, on=service.stores, activate=activate, actor=actor
        )


async def _receive(request: Request, spool: BinaryIO, limit: int) -> None:
    received, stream = 0, request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(STALL_S):
                chunk = await anext(stream, b"")
        except TimeoutError:
            raise UploadTooSlow("the file stopped coming", next_step="Send it again.") from None
        if not chunk:
            return
        received += len(chunk)
        if received > limit:
            raise PayloadTooLarge(
                f"a file of templates may have {limit} bytes", next_step="Export in smaller pages."
            )
        await run_in_threadpool(spool.write, chunk)


def _spool(service: Service) -> BinaryIO:
    """A file without a name, which is gone when it is closed or the process dies; all in it is encrypted."""
    return tempfile.TemporaryFile(dir=service.settings.state_dir)


def _chunks(spool: BinaryIO) -> Iterator[bytes]:
    while chunk := spool.read(CHUNK):
        yield chunk

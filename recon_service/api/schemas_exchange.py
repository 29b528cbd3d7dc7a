"""Bodies of exports and imports of templates, as they are on the wire."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from recon_service.api.schemas import Asked, Body
from recon_service.api.schemas_fields import Count, ListedSubject
from recon_service.application.records.exchange import ImportReport

MAX_SUBJECTS: Final = 10_000


class ExportRequest(Asked):
    """Which templates, for whom."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"recipient": "age15q3kapftfaedlknahz3ulf3wcl98yqqn268jks6ut6fxqaxjnqvsrgqj57", "limit": 1000}
            ]
        },
    )

    recipient: str = Field(
        max_length=200,
        description="Public key (age) of who will open the file; one of RECON_EXPORT_RECIPIENTS.",
    )
    subjects: list[ListedSubject] | None = Field(
        None,
        max_length=MAX_SUBJECTS,
        description="Whose templates; null: a page of all subjects. Who has no template is left out.",
    )
    after: str = Field(
        "",
        max_length=64,
        description="`Recon-Next-After` of the page before; empty: the first page. Of no effect with "
        "`subjects`.",
    )
    limit: int = Field(
        1000,
        ge=1,
        le=MAX_SUBJECTS,
        description="Subjects of one page, at most. Of no effect with `subjects`.",
    )
    versions: Literal["active", "all"] = Field(
        "active",
        description="`active`: the template in force of each subject; `all`: retired ones and candidates "
        "too.",
    )


class ExchangeIdentityBody(Body):
    """How other services know this one."""

    source: str = Field(
        description="Public key that files of this service are signed with, for RECON_IMPORT_SOURCES of "
        "another."
    )
    recipient: str | None = Field(
        description="Public key to export to, for this service to import; null: it imports nothing."
    )
    recipients: list[str] = Field(
        description="Public keys that this service may export to; empty: to nobody."
    )
    sources: list[str] = Field(
        description="Public keys of the services that it imports from; empty: from none."
    )


class RefusedBody(Body):
    """A template that was not taken."""

    template_id: str = Field(description="The template, as the exporting service calls it.")
    code: str = Field(description="Why it was not taken, for programs.")


class ImportBody(Body):
    """What became of a file."""

    export_id: str = Field(description="Id of the export that made the file.")
    source: str = Field(description="Public key of the service that signed it.")
    imported: Count = Field(description="Templates that were taken.")
    already_there: Count = Field(description="Templates that were here already, bit for bit.")
    refused: list[RefusedBody] = Field(description="Templates that were not taken; empty: none.")
    complete: bool = Field(
        description="Whether the end of the file was reached. False: it broke off; what came before is kept, "
        "send it again."
    )


def import_body(report: ImportReport) -> ImportBody:
    """On the wire."""
    return ImportBody(
        export_id=report.export_id,
        source=report.source,
        imported=report.imported,
        already_there=report.already_there,
        refused=[RefusedBody(template_id=r.template_id, code=r.code) for r in report.refused],
        complete=report.complete,
    )


_SOURCE: Final = "ed25519:HcV1Q2qk0m6Jt3vXbW8nYpR5sA7dE9fG1hK2lM4oQrs="
_RECIPIENT: Final = "age15q3kapftfaedlknahz3ulf3wcl98yqqn268jks6ut6fxqaxjnqvsrgqj57"
IDENTITY: Final[dict[str, Any]] = {
    "source": _SOURCE,
    "recipient": _RECIPIENT,
    "recipients": [_RECIPIENT],
    "sources": [_SOURCE],
}
IMPORTED: Final[dict[str, Any]] = {
    "export_id": "exp_7d2a4c6e8b0f1a3c5e7d9b2f4a6c8e01",
    "source": _SOURCE,
    "imported": 998,
    "already_there": 1,
    "refused": [{"template_id": "tpl_0b9f2d4c6e8a4b1c9d7e5f3a1b2c4d6e", "code": "deleted-since"}],
    "complete": True,
}

"""Bodies of exports and imports of templates, as they are on the wire."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from recon_service.api.schemas import Body
from recon_service.application.records.exchange import ImportReport

MAX_SUBJECTS: Final = 10_000


class ExportRequest(BaseModel):
    """Which templates, for whom."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {"recipient": "age15q3kapftfaedlknahz3ulf3wcl98yqqn268jks6ut6fxqaxjnqvsrgqj57", "limit": 1000}
            ]
        },
    )

    recipient: str = Field(
        max_length=200, description="Public key of who will open the file; one of RECON_EXPORT_RECIPIENTS."
    )
    subjects: list[str] | None = Field(
        None, max_length=MAX_SUBJECTS, description="Whose templates; without it, a page of all subjects."
    )
    after: str = Field("", max_length=64, description="`Recon-Next-After` of the page before.")
    limit: int = Field(1000, ge=1, le=MAX_SUBJECTS, description="Subjects of one page.")
    versions: Literal["active", "all"] = Field("active", description="`all`: retired and candidates too.")


class ExchangeIdentityBody(Body):
    """How other services know this one."""

    source: str = Field(description="Public key that files of this service are signed with.")
    recipient: str | None = Field(description="Public key to export to, for this service to import.")
    recipients: list[str] = Field(description="To whom this service may export.")
    sources: list[str] = Field(description="From whom it imports.")


class RefusedBody(Body):
    """A template that was not taken."""

    template_id: str
    code: str


class ImportBody(Body):
    """What became of a file. `complete` false: it broke off; what came before is kept, send it again."""

    export_id: str
    source: str
    imported: int
    already_there: int
    refused: list[RefusedBody]
    complete: bool


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

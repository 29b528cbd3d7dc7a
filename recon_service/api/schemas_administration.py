"""Bodies of API keys, the audit log and the list of subjects, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from recon_service.api.schemas import Body
from recon_service.application.keeping.audit import AuditVerdict
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.audit import AuditEntry


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"name": "kiosk 12", "scopes": ["verify"]}]},
    )

    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    scopes: list[Scope] = Field(min_length=1, description="None that the key of this request lacks.")


class KeyBody(Body):
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    development: bool
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """On the wire."""
        return cls(
            id=key.key_id,
            name=key.name,
            scopes=sorted(key.scopes),
            development=key.development,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
        )


class NewKeyBody(KeyBody):
    """A key that was just made. token: shown now and never again."""

    token: str


class KeysBody(Body):
    """Every key, oldest first, the revoked ones too."""

    keys: list[KeyBody]


class AuditEntryBody(Body):
    """One thing that was done. subject: keyed digest of the subject's id, or empty."""

    sequence: int
    at: datetime
    actor: str
    action: str
    subject: str
    object_id: str
    outcome: str
    digest: str

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """On the wire."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class AuditEntriesBody(Body):
    """A page of the log, oldest first."""

    entries: list[AuditEntryBody]
    next_after: int | None = Field(description="`after` of the next page; null: this was the last.")


class AuditCheckRequest(BaseModel):
    """An end that was noted before must still be there."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"since": None}]})

    since: str | None = Field(
        None, pattern=r"^\d{1,18}:[0-9a-f]{64}$", description="NUMBER:DIGEST, as an earlier check gave it."
    )


class AuditCheckBody(Body):
    """Whether the log is as it was written. broken: number of the first entry that is not; null: none."""

    entries: int
    broken: int | None
    detail: str
    end: str = Field(description="Note it elsewhere: NUMBER:DIGEST of the last entry.")

    @classmethod
    def of(cls, verdict: AuditVerdict) -> Self:
        """On the wire."""
        end = f"{verdict.head.sequence}:{verdict.head.digest}"
        return cls(entries=verdict.entries, broken=verdict.broken, detail=verdict.detail, end=end)


class SubjectBody(Body):
    """Somebody who asked to be enrolled."""

    subject_id: str
    created_at: datetime


class SubjectsBody(Body):
    """A page of subjects, in the order of their ids."""

    subjects: list[SubjectBody]
    next_after: str | None = Field(description="`after` of the next page; null: this was the last.")


_DIGEST: Final = "5f0c3c1e8b1f4c0f9d3f3a5b8c7e6d219c3e1f0a7b5d4826f1e0d9c8b7a69584"
KEY: Final[dict[str, Any]] = {
    "id": "3f9a1c7e2b40",
    "name": "kiosk 12",
    "scopes": ["verify"],
    "development": False,
    "created_at": "2026-03-04T10:00:00Z",
    "revoked_at": None,
}
NEW_KEY: Final[dict[str, Any]] = {**KEY, "token": "recon_3f9a1c7e2b40_…"}
KEYS: Final[dict[str, Any]] = {"keys": [KEY]}
ENTRIES: Final[dict[str, Any]] = {
    "entries": [
        {
            "sequence": 1042,
            "at": "2026-03-04T10:00:00Z",
            "actor": "3f9a1c7e2b40",
            "action": "verification",
            "subject": _DIGEST,
            "object_id": "",
            "outcome": "MATCH",
            "digest": _DIGEST[::-1],
        }
    ],
    "next_after": None,
}
CHECK: Final[dict[str, Any]] = {
    "entries": 1042,
    "broken": None,
    "detail": "",
    "end": f"1042:{_DIGEST[::-1]}",
}
SUBJECTS: Final[dict[str, Any]] = {
    "subjects": [{"subject_id": "user-8c41", "created_at": "2026-03-04T10:00:00Z"}],
    "next_after": None,
}

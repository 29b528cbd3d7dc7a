"""Bodies of API keys, the audit log and the list of subjects, as they are on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self

from pydantic import ConfigDict, Field

from recon_service.api.schemas import Asked, Body
from recon_service.api.schemas_fields import Count, SubjectField
from recon_service.application.keeping.audit import AuditVerdict
from recon_service.application.records.access import ApiKey, Scope
from recon_service.application.records.audit import AuditEntry


class KeyRequest(Asked):
    """A key to be made."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "kiosk 12", "scopes": ["verify"]}]},
    )

    name: str = Field(min_length=1, max_length=100, description="What the key is for, as lists show it.")
    scopes: list[Scope] = Field(
        min_length=1, description="What the key may do; none that the key of this request lacks."
    )


class KeyBody(Body):
    """An API key without its secret."""

    id: str = Field(description="Names the key in lists, the audit log and addresses; no secret.")
    name: str = Field(description="What it is for.")
    scopes: list[Scope] = Field(description="What it may do.")
    development: bool = Field(
        description="Whether the service made it at its first start; such a key works on the service's own "
        "machine only."
    )
    created_at: datetime = Field(description="When it was made.")
    revoked_at: datetime | None = Field(description="Since when it opens nothing; null: it is good.")

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
    """A key that was just made, with its secret."""

    token: str = Field(description="The key itself, for `Authorization: Bearer`. Shown now and never again.")


class KeysBody(Body):
    """Every key, oldest first, the revoked ones too."""

    keys: list[KeyBody] = Field(description="Every key, oldest first, the revoked ones too.")


class AuditEntryBody(Body):
    """One thing that was done."""

    sequence: int = Field(description="Number of the entry; without gaps, from 1.")
    at: datetime = Field(description="When it was done.")
    actor: str = Field(
        description="Who did it: id of an API key, `capture:` and a session, `command-line`, or `service` "
        "for what nobody asked for."
    )
    action: str = Field(description="What was done, such as `template.activated`.")
    subject: str = Field(
        description="Keyed digest of the subject's id, hex; empty: it was done to no subject."
    )
    object_id: str = Field(
        description="What it was done to beside the subject, such as a template; may be empty."
    )
    outcome: str = Field(
        description="A decision with its reasons by code, or other words about it; never anything biometric. "
        "May be empty."
    )
    digest: str = Field(
        description="Keyed digest over this entry and the one before, hex: the chain that a check follows."
    )

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """On the wire."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class AuditEntriesBody(Body):
    """A page of the log, oldest first."""

    entries: list[AuditEntryBody] = Field(description="Oldest first.")
    next_after: int | None = Field(description="`after` of the next page; null: this was the last.")


class AuditCheckRequest(Asked):
    """An end that was noted before must still be there."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"since": None}]})

    since: str | None = Field(
        None,
        pattern=r"^\d{1,18}:[0-9a-f]{64}$",
        description="NUMBER:DIGEST, the `end` that an earlier check gave: the log must still have it. Null: "
        "the chain alone is checked.",
    )


class AuditCheckBody(Body):
    """Whether the log is as it was written."""

    entries: Count = Field(description="How many entries are as they were written.")
    broken: int | None = Field(
        description="Number of the first entry that is altered or missing; null: none is."
    )
    detail: str = Field(description="What is wrong with that entry; empty when nothing is.")
    end: str = Field(
        description="NUMBER:DIGEST of the last sound entry. Note it outside of the service, for `since`."
    )

    @classmethod
    def of(cls, verdict: AuditVerdict) -> Self:
        """On the wire."""
        end = f"{verdict.head.sequence}:{verdict.head.digest}"
        return cls(entries=verdict.entries, broken=verdict.broken, detail=verdict.detail, end=end)


class SubjectBody(Body):
    """Somebody who asked to be enrolled."""

    subject_id: SubjectField
    created_at: datetime = Field(
        description="When the first enrollment was asked for, or a template imported."
    )


class SubjectsBody(Body):
    """A page of subjects, in the order of their ids."""

    subjects: list[SubjectBody] = Field(description="In the order of their ids.")
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

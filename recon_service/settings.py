"""The settings of the service: read once from the environment (``RECON_…``), passed down.

Without any setting the service runs embedded: SQLite, a folder of objects and a key file in the state
folder, the queue in memory. With addresses of a PostgreSQL, a Redis and an S3 store the same code runs on
several machines.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from recon_service.setting_fields import SettingFields
from recon_service.setting_names import PREFIX, READ_ELSEWHERE, SettingsInvalid, refuse_unknown_names


class Settings(SettingFields):
    """The settings, and what follows from them. ``Settings.from_environment()`` reads them; tests may pass
    values by name.
    """

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the environment. Raises SettingsInvalid for unknown names, with the closest known one, and
        for bad values.
        """
        refuse_unknown_names(os.environ if environment is None else environment, known=known_names())
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})
        except ValidationError as fault:
            # Not the values: one of them may be a secret.
            what = "; ".join(
                f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in fault.errors(include_input=False)
            )
            raise SettingsInvalid(what, next_step="Correct the environment variable.") from None

    def without_secrets(self) -> Self:
        """For processes that see what callers send: all but keys, passwords and addresses with them."""
        secret = (
            "master_key",
            "master_key_file",
            "accepted_master_keys",
            "accepted_master_keys_file",
            "database_url",
            "broker_url",
            "s3_access_key",
            "s3_secret_key",
            "metrics_token",
            "metrics_token_file",
            "traces_headers",
        )
        # Built anew, since a copy would take along what has been derived from the secrets.
        return self.model_construct(
            **{k: getattr(self, k) for k in type(self).model_fields if k not in secret}
        )

    @cached_property
    def listed_export_recipients(self) -> frozenset[str]:
        """To whom templates may be exported."""
        return frozenset(word.strip() for word in self.export_recipients.split(",") if word.strip())

    @cached_property
    def embedded(self) -> bool:
        """Whether queue and worker live inside the service."""
        return self.broker_url.startswith("memory://")

    @cached_property
    def kiosk_sessions_required(self) -> bool:
        """Whether a verification without a kiosk session is refused."""
        return self.kiosk_sessions == "required" or (self.kiosk_sessions == "auto" and not self.embedded)

    @cached_property
    def capture_return_url_list(self) -> tuple[str, ...]:
        """What ``capture_return_urls`` names."""
        return tuple(url.strip() for url in self.capture_return_urls.split(",") if url.strip())

    @cached_property
    def resolved_database_url(self) -> str:
        """The URL of the database."""
        return self.database_url or f"sqlite:///{self.state_dir / 'recon.sqlite3'}"

    @cached_property
    def resolved_objects_dir(self) -> Path:
        """The folder of the objects, unless they are in S3."""
        if self.object_store:
            return Path(self.object_store.removeprefix("file://"))
        return self.state_dir / "objects"


def known_names() -> list[str]:
    """Every environment variable that means something, sorted."""
    return sorted({f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | READ_ELSEWHERE)

"""Who is alone with a state folder, and may change what others read."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command

from recon_service.bootstrap import open_stores
from recon_service.domain.errors import Conflict
from recon_service.storage.schema import HEAD, alembic_config, current_revision
from recon_service.storage.state_lock import StateLock
from tests.stacks import Embedded, settings_for


def test_a_command_of_a_newer_version_leaves_the_schema_of_a_running_service_alone(tmp_path: Path) -> None:
    """Somebody installs a new version, and asks how the service is before it is restarted."""
    settings = settings_for(Embedded(), tmp_path)
    opened = open_stores(settings)
    engine = opened.database.engine
    command.downgrade(alembic_config(engine), "0020")
    with StateLock(tmp_path).held():
        for _ in range(2):
            with pytest.raises(Conflict, match=r"migration 0020, this version has .* another service runs"):
                open_stores(settings)
        assert current_revision(engine) == "0020"
    open_stores(settings).close()
    assert current_revision(engine) == HEAD
    with StateLock(tmp_path).held():
        open_stores(settings).close()
    opened.close()

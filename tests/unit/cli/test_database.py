"""Back to an older schema and forward again, by the command line, on both databases."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recon_service.bootstrap import open_stores
from recon_service.cli.database import app
from recon_service.domain.errors import Conflict, InvalidValue
from recon_service.storage import schema
from recon_service.storage.state_lock import StateLock
from tests.stacks import Stack, settings_for


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output.strip(), done.exception


def test_the_way_back_and_forward(tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(stack, tmp_path)
    monkeypatch.setenv("RECON_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("RECON_DATABASE_URL", settings.resolved_database_url)
    open_stores(settings).close()
    assert run("show")[1] == f"the database stands at {schema.HEAD}; this version has {schema.HEAD}"
    for wrong in ("0000", "0099", schema.HEAD, "base", "-1"):
        assert isinstance(run("downgrade", "--yes", "--", wrong)[2], InvalidValue)
    before = f"{int(schema.HEAD) - 1:04}"
    assert CliRunner().invoke(app, ["downgrade", before], input="n\n").exit_code == 1
    assert run("show")[1].startswith(f"the database stands at {schema.HEAD};")
    assert run("downgrade", before, "--yes")[0] == 0
    assert run("show")[1].startswith(f"the database stands at {before};")
    opened = open_stores(settings)
    opened.stores.database.check()
    opened.close()
    assert run("show")[1].startswith(f"the database stands at {schema.HEAD};")


def test_no_way_back_while_the_service_runs(
    tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(stack, tmp_path)
    monkeypatch.setenv("RECON_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("RECON_DATABASE_URL", settings.resolved_database_url)
    monkeypatch.setenv("RECON_BROKER_URL", settings.broker_url)
    monkeypatch.setattr(schema, "LOOKS", 1)
    opened = open_stores(settings)
    with StateLock(settings.state_dir).held() if settings.embedded else nullcontext():
        opened.stores.database.check()
        before = f"{int(schema.HEAD) - 1:04}"
        assert isinstance(run("downgrade", before, "--yes")[2], Conflict)
        opened.stores.database.check()
    assert schema.current_revision(opened.database.engine) == schema.HEAD
    opened.close()

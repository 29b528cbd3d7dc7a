"""The files of an embedded service, in a folder that others may look into."""

from __future__ import annotations

import os
from pathlib import Path

from recon_service.application.keeping.keys import create_api_key
from recon_service.application.records.access import Scope
from recon_service.bootstrap import open_stores
from recon_service.settings import Settings


def test_what_is_stored_is_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        opened = open_stores(Settings(state_dir=state))
        create_api_key("app", [Scope.ENROLL], on=opened.stores)
        opened.stores.objects.put("selfies/a", b"sealed")
        open_to_others = {
            path.relative_to(state).as_posix()
            for path in state.rglob("*")
            if path.is_file() and path.stat().st_mode & 0o077
        }
        assert (state / "recon.sqlite3-wal").exists()
        opened.close()
    finally:
        os.umask(before)
    assert open_to_others == set()

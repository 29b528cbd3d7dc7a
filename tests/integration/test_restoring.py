"""A backup of an embedded service, taken while it runs and put back after it was killed, by the commands of
docs/operations.md.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.integration.running import Server, enroll, portrait_jpeg

ROOT = Path(__file__).parents[2]


def test_a_restore_puts_back_what_was_backed_up_and_nobody_who_was_deleted(tmp_path: Path) -> None:
    """The journals of the killed service hold everything that came after the backup."""
    text = (ROOT / "docs/operations.md").read_text()
    (commands,) = re.findall(r"```sh\n(rm -f var/recon/.*?)```", text, re.S)
    state = tmp_path / "var/recon"
    state.parent.mkdir()
    server = Server(state).start()
    with server.client() as client:
        for name in ("before", "deleted"):
            enroll(client, name, portrait_jpeg("astronaut"))
        with (
            closing(sqlite3.connect(state / "recon.sqlite3")) as living,
            closing(sqlite3.connect(tmp_path / "backup.sqlite3")) as backup,
        ):
            living.backup(backup)
        shutil.copytree(state / "objects", tmp_path / "objects-backup")
        enroll(client, "afterward", portrait_jpeg("astronaut"))
        assert client.delete("/v1/subjects/deleted").status_code == 200
    server.kill()
    assert (state / "recon.sqlite3-wal").stat().st_size > 0, "or nothing was tried"
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, check=True)
    server.start()
    try:
        with server.client() as client:
            there = [one["subject_id"] for one in client.get("/v1/subjects").json()["subjects"]]
            assert there == ["before"]
            assert enroll(client, "afterward", portrait_jpeg("astronaut"))["state"] == "succeeded"
            assert client.post("/v1/audit-checks", json={}).json()["broken"] is None
    finally:
        server.stop()
    with closing(sqlite3.connect(state / "recon.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)

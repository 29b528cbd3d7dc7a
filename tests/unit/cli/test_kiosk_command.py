"""`recon kiosk`: checks and recordings of a camera that is always there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recon_service.cli.kiosk import app
from recon_service.kiosk.cameras.camera import CameraSession
from recon_service.kiosk.cameras.files import FileCamera
from recon_service.kiosk.errors import RecordingKeyMissing

NO_SERVICE = "http://127.0.0.1:9"


def run(*arguments: str):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, list(arguments))


def test_a_recording_is_sealed_with_a_key_and_checked_with_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    folder = str(tmp_path / "visit")
    made = run("record", folder, "--camera", "simulated:3", "--frames", "6", "--key-file", str(key))
    assert made.exit_code == 0, made.output
    assert "6 frames" in made.output
    assert all(path.suffix == ".sealed" for path in Path(folder).iterdir())
    options = ("--camera", folder, "--frames", "8", "--key-file", str(key), "--url", NO_SERVICE, "--json")
    told = run("check", *options)
    said = json.loads(told.output)
    assert (said["camera"], said["service"], told.exit_code) == ("simulated-structured-light", False, 3)
    assert {c["name"]: c["good"] for c in said["checks"]}["distance"] is True


def test_without_a_key_it_has_to_be_said(tmp_path: Path) -> None:
    folder = tmp_path / "visit"
    options = (str(folder), "--camera", "simulated", "--frames", "2")
    refused = run("record", *options)
    assert isinstance(refused.exception, RecordingKeyMissing)
    assert not folder.exists()
    assert run("record", *options, "--in-the-clear").exit_code == 0
    with CameraSession(FileCamera(folder)) as session:
        assert len(list(session.frames())) == 2


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--api-key", "k", "--client-certificate", __file__),
        ("--api-key", "k", "--edge-folder", "edge"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RECON_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    told = run("run", "--camera", "simulated", *options)
    assert told.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_cameras_that_are_known_are_listed() -> None:
    told = run("cameras")
    assert told.exit_code == 0
    assert "realsense-d435i" in told.output

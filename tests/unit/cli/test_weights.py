from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recon_service.cli.weights import app
from recon_service.weights.errors import WeightsAltered


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, and no mirror."""
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR", raising=False)
    monkeypatch.delenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.mark.usefixtures("folder")
def test_list_names_every_file_its_state_and_what_mends_it() -> None:
    code, table = run("list")
    assert code == 0
    rows = json.loads(run("list", "--json")[1])
    assert {row["state"] for row in rows} == {"missing"}
    assert all(row["name"] in table for row in rows)
    mends = {row["name"]: row["mend"] for row in rows}
    assert mends["face-landmark"] == "pull"
    assert mends["ict-face-model"] == "build"
    assert mends["faceboxes"] == "convert"
    assert mends["edgeface-xs"] == "conversion"
    assert mends["ict-facemesh-points"] == "mirror"


def test_pull_then_verify(folder: Path, weights_mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_MIRROR", str(weights_mirror))
    code, said = run("pull", "--set", "default")
    assert code == 0
    assert "face-landmark: from mirror" in said
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR")
    assert run("verify") == (0, "  present  face-landmark\n  present  face-detection-short-range\n")
    assert run("verify", "yunet")[0] == 1
    path = folder / "mediapipe" / "face_landmark.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsAltered, match="face-landmark") as caught:
        run("verify")
    assert "recon weights pull face-landmark" in caught.value.next_step


def test_all_passes_over_what_is_not_allowed_here(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    weights_mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partial = tmp_path_factory.mktemp("mirror")
    shutil.copytree(weights_mirror, partial, dirs_exist_ok=True)
    monkeypatch.setenv("RECON_WEIGHTS_MIRROR", str(partial))
    code, said = run("pull", "--all")
    assert code == 0, said
    assert "yolov5-face is not for commercial use" in said
    assert not (folder / "yolo_face").exists()
    assert (folder / "ict_facekit" / "ict_face_model.npz").is_file()
    assert run("pull", "yolov5-face")[0] == 1
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
    assert run("pull", "yolov5-face")[0] == 0


def test_building_the_ict_model_from_a_folder_without_it_says_what_is_missing(folder: Path) -> None:
    with pytest.raises(Exception, match=r"generic_neutral_mesh\.obj"):
        run("build", "ict", "--source", str(folder))

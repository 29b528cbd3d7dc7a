"""`recon fit --backend` and `recon backends` with DECA and FaceVerse on made-up files of the real formats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image as PillowImage
from typer.testing import CliRunner

from recon_service.cli.main import build_app
from recon_service.domain.images import Image
from tests.images import portrait

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")
pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")

from tests.backends import backend, store


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(arguments), list(arguments))


NUMBERS = {"deca": 236, "faceverse": 621}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(store().directory))
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")


@pytest.mark.usefixtures("made_up", "weights_mirror")
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_raw_json_prints_every_number_of_every_face(name: str, tmp_path: Path) -> None:
    path = tmp_path / "portrait.png"
    PillowImage.fromarray(portrait("astronaut")).save(path)
    result = run("fit", str(path), "--backend", name, "--raw-json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    (face,) = report["images"][0]["faces"]
    ((known,),) = backend(name).reconstruct([(Image(portrait("astronaut")), None)])
    assert len(face["raw"]) == NUMBERS[name]
    np.testing.assert_allclose(face["raw"], known.raw, atol=1e-9)
    np.testing.assert_allclose(face["landmarks"], known.landmarks, atol=1e-9)
    np.testing.assert_allclose(face["region_of_interest"], known.region, atol=1e-9)
    assert set(face["parameters"]) == set(known.parameters)
    assert [face["pose"][angle] for angle in ("yaw", "pitch", "roll")] == pytest.approx(known.pose)


def test_what_is_missing_is_named_with_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
    listed = run("backends")
    assert listed.exit_code == 0
    told = " ".join(listed.output.split())
    for each in (
        "deca.is.tue.mpg.de",
        "recon weights convert deca --from deca_model.tar",
        "recon weights convert flame --from generic_model.pkl",
        "recon weights convert flame-landmarks --from landmark_embedding.npy",
        "github.com/LizhenWangT/FaceVerse_v4",
        "recon weights convert faceverse --from faceverse_v4_2.npy",
    ):
        assert each in told
    monkeypatch.delenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS")
    refused = " ".join(run("backends").output.split())
    assert "Max Planck" in refused
    assert "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS=1" in refused

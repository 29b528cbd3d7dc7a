"""`recon fit --backend` and `recon backends`: every number of every face, or what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recon_service.cli.main import build_app
from tests.images import portrait_bytes

pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(build_app(arguments), list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.jpg" for name in ("astronaut", "grace_hopper")]
    for path in paths:
        path.write_bytes(portrait_bytes(path.stem))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    return [*paths, tmp_path / "broken.jpg"]


@pytest.fixture
def mirror(weights_mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECON_WEIGHTS_MIRROR", str(weights_mirror))
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
    return weights_mirror


@pytest.mark.usefixtures("mirror")
def test_raw_json_has_every_number_of_every_face(pictures: list[Path], cases: Path) -> None:
    code, out, _ = run("fit", *map(str, pictures), "--backend", "tddfa_v2", "--raw-json")
    assert code == 0
    report = json.loads(out)
    assert report["backend"] == "tddfa_v2"
    astronaut, hopper, broken = report["images"]
    assert broken["problem"]["code"] == "image-unknown-format"
    assert broken["faces"] == []
    for image in (astronaut, hopper):
        (face,) = image["faces"]
        assert np.shape(face["box"]) == (4,)
        assert np.shape(face["region_of_interest"]) == (4,)
        assert np.shape(face["raw"]) == (62,)
        assert np.shape(face["landmarks"]) == (68, 2)
        assert np.shape(face["parameters"]["identity"]) == (40,)
        assert set(face["pose"]) == {"yaw", "pitch", "roll"}
    # A JPEG of the portrait: the numbers are near the original's, which saw the portrait itself.
    with np.load(cases / "tddfa_v2_golden" / "astronaut.npz") as golden:
        np.testing.assert_allclose(astronaut["faces"][0]["box"], golden["boxes"][0, :4], atol=3)


@pytest.mark.usefixtures("mirror")
def test_without_raw_json_overlays_and_meshes_are_written(pictures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said, _ = run("fit", str(pictures[0]), "--backend", "tddfa_v2", "--out", str(out), "--crops", "3")
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == ["astronaut-tddfa_v2.glb", "astronaut-tddfa_v2.png"]
    assert "astronaut" in said


def test_what_is_missing_is_said(
    pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RECON_WEIGHTS_MIRROR", "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path / "weights"))
    code, _, told = run("fit", str(pictures[0]), "--backend", "tddfa_v2")
    assert code == 3
    assert "recon weights" in told.replace("\n", " ")
    code, _, told = run("fit", str(pictures[0]), "--backend", "nothing")
    assert (code, "unknown-backend" in told) == (3, True)
    assert run("fit", str(pictures[0]), "--raw-json")[0] == 2
    code, out, _ = run("backends", "--json")
    assert code == 0
    assert not any(row["available"] for row in json.loads(out))
    assert all(row["problem"]["next_step"] for row in json.loads(out))
    assert run("backends")[0] == 0

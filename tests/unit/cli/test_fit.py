"""`recon fit` on the real command line: files in, files out, exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image as PillowImage

from recon_service.cli.fit import unique_names
from recon_service.domain.errors import WeightsUnavailable
from recon_service.simulation.population.portraits import free_portraits
from recon_service.weights import locate


def recon_fit(*arguments: str | Path, environment: dict[str, str] | None = None):
    return subprocess.run(
        [sys.executable, "-m", "recon_service", "fit", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "RECON_MODEL": "builtin", **(environment or {})},
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A portrait, the same in another file, and a file that is no picture."""
    try:
        locate("face-landmark")
        locate("face-detection-short-range")
    except WeightsUnavailable as missing:
        pytest.skip(f"the default model files are not here: {missing.next_step}")
    folder = tmp_path_factory.mktemp("selfies")
    portrait = free_portraits()["grace-hopper"]
    (folder / "one.jpg").write_bytes(portrait)
    PillowImage.open(io.BytesIO(portrait)).save(folder / "two.jpg", quality=97)
    (folder / "notes.jpg").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def fitted(folder):
    out = folder / "out"
    done = recon_fit(folder / "one.jpg", folder / "two.jpg", folder / "notes.jpg", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_everything_promised_is_written_and_can_be_read(fitted):
    report, out = fitted
    names = {"report.json", "face.glb", "face.ply", "face.obj", "face-views.png"}
    names |= {f"{stem}{end}" for stem in ("one", "two") for end in ("-overlay.png", ".glb")}
    assert {p.name for p in out.iterdir()} == names
    assert {Path(p).name for p in report["files"]} == names
    for picture in out.glob("*.png"):
        assert np.asarray(PillowImage.open(picture)).std() > 10
    sizes = {
        k: trimesh.load(out / f"face.{k}", process=False, force="mesh").extents for k in ("glb", "ply", "obj")
    }
    np.testing.assert_allclose(sizes["glb"] * 1000, sizes["ply"], rtol=1e-5)
    np.testing.assert_allclose(sizes["obj"], sizes["ply"], rtol=1e-5)
    assert 130 < sizes["ply"][1] < 300, "a face, in millimetres"


def test_the_report_says_what_was_accepted_and_why_not(fitted):
    report, _ = fitted
    one, two, notes = report["images"]
    assert (one["accepted"], two["accepted"], notes["accepted"]) == (True, True, False)
    assert notes["fit"] is None
    assert notes["problem"]["hint"]
    assert {m["name"] for m in one["quality"]} >= {"yaw", "pitch", "roll", "sharpness"}
    assert abs(one["fit"]["yaw_degrees"]) < 15
    # The same face in both: they agree but for what the second file has lost.
    for angle in ("yaw_degrees", "pitch_degrees", "roll_degrees"):
        assert abs(one["fit"][angle] - two["fit"][angle]) < 0.5
    assert abs(one["fit"]["distance_mm"] / two["fit"]["distance_mm"] - 1) < 0.01
    identity = report["identity"]
    assert len(identity["mean"]) == len(identity["sd"])
    assert 0 < min(identity["sd"]) <= max(identity["sd"]) <= 1.0 + 1e-9, "evidence never widens the prior"


def test_nothing_accepted_is_exit_code_1_with_a_hint(folder, tmp_path):
    done = recon_fit(folder / "notes.jpg", "--out", tmp_path / "none")
    assert done.returncode == 1
    assert "rejected" in done.stdout
    assert "JPEG" in done.stdout
    assert [p.name for p in (tmp_path / "none").iterdir()] == ["report.json"]


def test_a_missing_file_is_wrong_usage(tmp_path):
    assert recon_fit(tmp_path / "absent.jpg").returncode == 2


def test_missing_weights_are_a_fault_with_the_command_that_mends_it(tmp_path):
    picture = tmp_path / "gray.png"
    PillowImage.new("RGB", (200, 200)).save(picture)
    nowhere = {"RECON_WEIGHTS_MIRROR": "", "RECON_WEIGHTS_DIR": str(tmp_path / "empty")}
    done = recon_fit(picture, "--out", tmp_path / "out", environment=nowhere)
    assert done.returncode == 3
    assert "recon weights pull" in done.stderr


def test_names_are_told_apart():
    paths = [Path("a/x.jpg"), Path("b/x.png"), Path("face.jpg"), Path("c/x.webp")]
    assert unique_names(paths) == ["x", "x-2", "face-2", "x-3"]

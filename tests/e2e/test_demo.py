"""`recon demo` as a newcomer types it: the real service over HTTP, with pictures at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import trimesh
from PIL import Image as PillowImage

from recon_service.domain.errors import WeightsUnavailable
from recon_service.weights import locate


def default_weights() -> dict[str, str]:
    """The environment under which the default model files are found, and no recorded captures."""
    try:
        folder = locate("face-landmark").parent.parent
        locate("face-detection-short-range")
    except WeightsUnavailable as missing:
        pytest.skip(f"the default model files are not here: {missing.next_step}")
    return {"RECON_WEIGHTS_DIR": str(folder), "RECON_MODEL": "builtin"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run with the built-in model and without recorded captures: what runs where there is no mirror."""
    out = tmp_path_factory.mktemp("demo") / "out"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RECON_")}
    environment |= {**default_weights(), "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "recon_service", "demo", "--people", "2", "--out", str(out)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, out


def test_both_portraits_are_enrolled_over_http_and_drawn(demo):
    said, out = demo
    for name in ("astronaut", "grace-hopper"):
        assert f"enrolled {name} over HTTP: succeeded" in said
        assert np.asarray(PillowImage.open(out / f"{name}-overlay.png")).shape[0] == 640
        assert (out / f"{name}-face-views.png").is_file()
        assert json.loads((out / f"{name}-report.json").read_text())["images"][0]["accepted"]


def test_the_mesh_of_the_service_is_the_mesh_fitted_here(demo):
    _, out = demo
    for name in ("astronaut", "grace-hopper"):
        served, here = (
            trimesh.load(out / f"{name}-{which}.glb", process=False, force="mesh", maintain_order=True)
            for which in ("enrolled", "face")
        )
        assert served.vertices.shape == here.vertices.shape
        # Half a millimetre: stored coefficients are rounded.
        np.testing.assert_allclose(served.vertices, here.vertices, atol=5e-4)


def test_simulated_captures_are_labeled_and_scored_and_the_real_ones_are_said_to_be_skipped(demo):
    said, out = demo
    assert "SIMULATED: selfie/depth HTTP" in said
    assert "SIMULATED: depth/depth local" in said
    assert "real people: skipped" in said
    assert (out / "SIMULATED-selfie.jpg").is_file()
    assert "100%" in said.split("summary")[1], "depth against depth separates two simulated heads"


def test_no_key_is_printed(demo):
    said, _ = demo
    assert "recon_" not in said.replace("recon_service", "")

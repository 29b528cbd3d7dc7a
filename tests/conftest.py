"""Shared by every test: where the mirror and the recorded cases are, and how Hypothesis runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "recon",
    deadline=None,  # two shared cores: a slow example is not a failure
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "recon"))


@pytest.fixture(scope="session")
def weights_mirror() -> Path:
    """The mirror folder of model files named by RECON_WEIGHTS_MIRROR."""
    value = os.environ.get("RECON_WEIGHTS_MIRROR", "")
    if not value:
        pytest.skip("RECON_WEIGHTS_MIRROR is unset: this test needs the mirror of model files")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip("RECON_WEIGHTS_MIRROR names a folder that does not exist")
    return folder


@pytest.fixture(scope="session")
def cases(weights_mirror: Path) -> Path:
    """The recorded captures, in the folder `cases` beside the mirror."""
    folder = weights_mirror.resolve().parent / "cases"
    if not folder.is_dir():
        pytest.skip(
            "there is no folder 'cases' beside RECON_WEIGHTS_MIRROR: this test needs the recorded captures"
        )
    return folder

"""Where model files lie: beside the source code, in a folder of choice, or in the user's data folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

WEIGHTS_DIR = "RECON_WEIGHTS_DIR"
WEIGHTS_MIRROR = "RECON_WEIGHTS_MIRROR"

_PACKAGE = Path(__file__).resolve().parent.parent


def bundled_directory() -> Path:
    """The folder of the manifest and the built-in model: ``weights/`` of a checkout or its copy."""
    installed = _PACKAGE / "_weights"
    return installed if installed.is_dir() else _PACKAGE.parent / "weights"


def weights_directory(environment: Mapping[str, str] | None = None) -> Path:
    """The folder that downloads go to; it need not exist yet."""
    environment = os.environ if environment is None else environment
    if chosen := environment.get(WEIGHTS_DIR):
        return Path(chosen).expanduser().resolve()
    checkout = _PACKAGE.parent / "weights"
    if (checkout / "manifest.toml").is_file():
        return checkout
    if data := environment.get("XDG_DATA_HOME"):
        return Path(data) / "recon-service" / "weights"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "recon-service" / "weights"
    return Path.home() / ".local" / "share" / "recon-service" / "weights"


def mirror_directory(environment: Mapping[str, str] | None = None) -> Path | None:
    """The mirror folder, or None where none is set."""
    environment = os.environ if environment is None else environment
    chosen = environment.get(WEIGHTS_MIRROR)
    return Path(chosen).expanduser().resolve() if chosen else None

"""What an observation depends on besides its sample: code, model files, numerical libraries."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import scipy

import recon_service
from recon_service.weights import bundled_directory

NOT_INVOLVED = (
    "api",
    "cli",
    "demo",
    "evaluation/report",
    "simulation",
    "storage",
    "telemetry.py",
    "web",
)
"""Below recon_service/: what cannot change a posterior. Statistics are computed anew at every run; the
comparison counts, because a visit leaves out frames that its calibration finds to be another person's;
simulated people carry the version of their generator in their fingerprints.
"""
STATISTICS = (
    "appearance_learning",
    "appearance_scores",
    "bootstrap",
    "calibrating",
    "calibration",
    "comparisons",
    "discard",
    "draws",
    "gathering",
    "harness",
    "innovation",
    "material",
    "measuring",
    "metrics",
    "model_people",
    "pair_learning",
    "rates",
    "result",
    "rows",
    "scores",
    "split",
    "strengthening_walk",
    "versions",
    "whitening",
)


@cache
def code_version() -> str:
    """A digest of the sources, the manifest (which pins every model file by its SHA-256), the built-in model
    and the libraries that calculate.
    """
    digest = hashlib.sha256()
    root = Path(recon_service.__file__).parent
    out = [root / name for name in NOT_INVOLVED]
    out += [root / "evaluation" / f"{name}.py" for name in STATISTICS]
    for path in sorted(root.rglob("*")):
        if path.suffix in (".pyc", ".tflite") or path.is_dir():
            continue
        if not any(path == one or one in path.parents for one in out):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    for path in (bundled_directory() / "manifest.toml", *sorted(bundled_directory().glob("builtin*.npz"))):
        digest.update(path.read_bytes())
    libraries = (platform.machine(), np.__version__, scipy.__version__, cv2.__version__)
    digest.update("/".join(libraries).encode())
    return digest.hexdigest()

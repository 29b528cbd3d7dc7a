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

SOURCES = (
    "domain",
    "imaging",
    "detection",
    "quality",
    "reconstruction",
    "fitting",
    "depth",
    "canonical_model",
    "application/enroll.py",
    "application/verify.py",
    "application/pipeline.py",
    "assembly.py",
    "evaluation/kinect2.py",
    "evaluation/png.py",
    "evaluation/datasets",
    "evaluation/observing.py",
)
"""Below recon_service/: what turns bytes into a posterior. Comparison and statistics are not among them:
they are computed anew at every run.
"""


@cache
def code_version() -> str:
    """A digest of the sources, the manifest (which pins every model file by its SHA-256), the built-in model
    and the libraries that calculate.
    """
    digest = hashlib.sha256()
    root = Path(recon_service.__file__).parent
    for name in SOURCES:
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    for path in (bundled_directory() / "manifest.toml", *sorted(bundled_directory().glob("builtin*.npz"))):
        digest.update(path.read_bytes())
    libraries = (platform.machine(), np.__version__, scipy.__version__, cv2.__version__)
    digest.update("/".join(libraries).encode())
    return digest.hexdigest()

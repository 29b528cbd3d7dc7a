"""What was seen and computed, kept by content, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import recon_service
from recon_service.domain.arrays import Array
from recon_service.evaluation.cache import ObservationCache

INVOLVED = (
    "alignment",
    "appearance",
    "application/computing/detectors.py",
    "detection",
    "domain/faces.py",
    "domain/images.py",
    "domain/landmark_schemes.py",
    "imaging",
    "networks",
    "reconstruction/facemesh",
)
"""Below recon_service/: what can change a detection or a vector."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of small files, closed to other users: faces and vectors of people are biometric data."""

    folder: Path

    @classmethod
    def opened(cls, folder: Path) -> Kept:
        """The folder below the one of all evaluations. Raises InvalidValue."""
        return cls(ObservationCache.opened(folder).folder / "detectors")

    def get(self, key: str) -> tuple[dict[str, Any], dict[str, Array]] | None:
        """Facts and arrays under this key; None if there are none, or none that can be read."""
        try:
            with self._path(key).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files if name != "facts"}
                return json.loads(str(file["facts"])), arrays
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, facts: Mapping[str, Any], **arrays: Array) -> None:
        """A reader sees all of it or nothing, also if the process is killed."""
        path = self._path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]
        Path(temporary).replace(path)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"


@cache
def code_digest() -> str:
    """A digest of the code that looks and of the libraries; model files have digests of their own."""
    digest = hashlib.sha256()
    root = Path(recon_service.__file__).parent
    files: list[Path] = []
    for name in INVOLVED:
        path = root / name
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    own = Path(__file__).parent
    files += [own / "jitter.py", own / "looking.py"]
    for path in files:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    digest.update("/".join((platform.machine(), np.__version__, cv2.__version__, _onnxruntime())).encode())
    return digest.hexdigest()


def _onnxruntime() -> str:
    try:
        import onnxruntime
    except ImportError:
        return "none"
    return str(onnxruntime.__version__)

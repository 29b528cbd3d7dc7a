"""What a file is: SHA-256 of its bytes, and of the arrays in it where a compressor stands in between."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_sha256(path: Path) -> str | None:
    """SHA-256 over the names, dtypes, shapes and C-order bytes of an ``.npz``, by ascending name.

    Two files with equal arrays have the same digest whatever zlib compressed them. None where the file is not
    an ``.npz`` or holds Python objects.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            for name in sorted(arrays.files):
                array = np.ascontiguousarray(arrays[name])
                digest.update(f"{name}\n{array.dtype.str}\n{arrays[name].shape}\n".encode())
                digest.update(array.tobytes())
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return None
    return digest.hexdigest()

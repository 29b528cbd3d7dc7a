"""The OBJ files that ICT-FaceKit publishes, from a checkout or from the web, and the part of them that is
read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import numpy as np
from numpy.typing import NDArray

from recon_service.weights.download import TransferFailed

COMMIT = "da5f95a607f5e6b37755b38d3385d7f2853732e5"
BASE_URL = f"https://raw.githubusercontent.com/ICT-VGL/ICT-FaceKit/{COMMIT}/FaceXModel"


class ObjFolder(Protocol):
    """Where the original's files are read from, line by line."""

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file; the reader may stop early."""


@dataclass(frozen=True)
class LocalFolder:
    """``FaceXModel`` of a checkout."""

    path: Path

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file in the folder."""
        try:
            with (self.path / name).open("rb") as stream:
                yield from stream
        except OSError as error:
            raise TransferFailed(f"{name}: {error.strerror}") from error


@dataclass(frozen=True)
class RemoteFolder:
    """``FaceXModel`` at its web address.

    A reader that stops early also stops the transfer: a tenth of the bytes suffices.
    """

    client: httpx.Client
    base_url: str = BASE_URL

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file as they arrive."""
        try:
            with self.client.stream("GET", f"{self.base_url}/{name}") as response:
                if response.status_code >= 400:
                    raise TransferFailed(f"{name}: status {response.status_code}")
                rest = b""
                for chunk in response.iter_bytes():
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
                if rest:
                    yield rest
        except httpx.HTTPError as error:
            raise TransferFailed(f"{name}: {error}") from error


def read_vertices(lines: Iterable[bytes], count: int, *, name: str) -> NDArray[np.float64]:
    """The first `count` vertices of an OBJ file, (count, 3) float64; reads no further than that.

    Raises
    ------
    TransferFailed
        The file ends before, or a vertex is no three numbers.
    """
    vertices = np.empty((count, 3))
    found = 0
    for line in lines:
        if line.startswith(b"v "):
            try:
                vertices[found] = line.split()[1:4]
            except ValueError as error:
                raise TransferFailed(f"{name}: vertex {found} is no three numbers") from error
            found += 1
            if found == count:
                return vertices
    raise TransferFailed(f"{name}: {found} vertices instead of at least {count}")


def read_triangles(lines: Iterable[bytes], vertices: int) -> NDArray[np.int64]:
    """Zero-based triangles (T, 3) of the faces within the first `vertices`, cut from their first corner."""
    triangles = []
    for line in lines:
        if line.startswith(b"f "):
            corners = [int(corner.split(b"/")[0]) - 1 for corner in line.split()[1:]]
            if max(corners) < vertices:
                triangles += [(corners[0], *pair) for pair in itertools.pairwise(corners[1:])]
    return np.asarray(triangles, dtype=np.int64).reshape(-1, 3)

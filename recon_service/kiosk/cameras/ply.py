"""PLY point clouds -> depth maps.

Camera viewers save what they see as points. With the intrinsics the depth map comes back: every point is
put on the pixel that it projects to, the nearest one wins.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.kiosk.errors import RecordingUnreadable

UNITS_MM: Final = {"mm": 1.0, "m": 1000.0}
AXES: Final = {"camera": np.array([1.0, 1.0, 1.0]), "opengl": np.array([1.0, -1.0, -1.0])}
"""Of the points: x right, y down, z forward; or x right, y up, z back, as viewers write them."""
TYPES: Final = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
MAX_POINTS: Final = 8_000_000


def read_ply(content: bytes) -> Array:
    """Positions (N, 3) of the vertices, in the file's own unit and axes; ASCII or binary.

    Raises RecordingUnreadable.
    """
    try:
        head, body = content.split(b"end_header\n", 1)
        kind, count, fields = _header(head.decode("ascii").splitlines())
        if kind == "ascii":
            rows = np.loadtxt(io.BytesIO(body), max_rows=count, ndmin=2, dtype=np.float64)
            columns: Any = {name: rows[:, at] for at, (name, _) in enumerate(fields)}
        else:
            order = "<" if kind == "binary_little_endian" else ">"
            columns = np.frombuffer(body, [(name, order + TYPES[t]) for name, t in fields], count=count)
        points = np.stack([columns[axis] for axis in "xyz"], axis=1).astype(np.float64)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as fault:
        raise RecordingUnreadable(
            f"the PLY file cannot be read ({type(fault).__name__})",
            next_step="Save it as ASCII or binary with vertices first.",
        ) from None
    return points[np.isfinite(points).all(axis=1)]


def depth_of_points(points: Array, camera: PinholeCamera) -> NDArray[np.float32]:
    """(H, W) mm, 0 where no point is. points: (N, 3) mm, camera frame."""
    seen = points[points[:, 2] > 0]
    depth = np.full((camera.height, camera.width), np.inf)
    if len(seen):
        column, row = np.rint(camera.project(seen)).astype(np.int64).T
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        np.minimum.at(depth, (row[inside], column[inside]), seen[inside, 2])
    return np.where(np.isfinite(depth), depth, 0.0).astype(np.float32)


def _header(lines: list[str]) -> tuple[str, int, list[tuple[str, str]]]:
    """Kind of body, number of vertices, and their fields (name, type)."""
    if not lines or lines[0].strip() != "ply":
        raise ValueError("no PLY")
    kind, count, element = "", -1, ""
    fields: list[tuple[str, str]] = []
    for line in lines[1:]:
        words = line.split()
        if words[:1] == ["format"]:
            kind = words[1]
        elif words[:1] == ["element"]:
            if count < 0 and words[1] != "vertex":
                raise ValueError("vertices must come first")
            element = words[1]
            count = int(words[2]) if element == "vertex" else count
        elif words[:1] == ["property"] and element == "vertex":
            fields.append((words[2], words[1]))
    if kind not in ("ascii", "binary_little_endian", "binary_big_endian") or not 0 <= count <= MAX_POINTS:
        raise ValueError("no such PLY")
    return kind, count, fields

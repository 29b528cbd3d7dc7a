"""Depth captures of the subjects of a service, files made of them, and what its database holds."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import httpx
import numpy as np
import sqlalchemy as sa
from PIL import Image as PillowImage

from recon_service.domain.mesh import Mesh
from recon_service.domain.pose import HeadPose
from recon_service.simulation import KIOSK_CAMERA, Ideal, simulate_capture
from recon_service.storage.tables import metadata
from tests.integration.running import Server

INTRINSICS = json.dumps(
    {**{n: getattr(KIOSK_CAMERA, n) for n in ("width", "height", "fx", "fy", "cx", "cy")}}
)


def png16(depth: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    PillowImage.fromarray(np.round(depth).astype(np.uint16)).save(file, "PNG")
    return file.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def glb_vertices(content: bytes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions in millimetres and triangles of the only mesh in a binary glTF file."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    json_length = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + json_length])
    binary = content[20 + json_length + 8 :]
    primitive = document["meshes"][0]["primitives"][0]

    def read(number: int, width: int) -> np.ndarray[Any, Any]:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        dtype = {5126: "<f4", 5125: "<u4", 5123: "<u2"}[accessor["componentType"]]
        return np.frombuffer(binary, dtype, accessor["count"] * width, start).reshape(-1, width)

    corners = read(primitive["indices"], 1).reshape(-1, 3).astype(np.int64)
    return 1000.0 * read(primitive["attributes"]["POSITION"], 3).astype(np.float64), corners


def depth_of(client: httpx.Client, subject: str, *, yaw: float = 0.0) -> np.ndarray[Any, Any]:
    """What a perfect depth camera sees of the head that the service made of a subject, (H, W) mm."""
    (template, *_) = client.get(f"/v1/subjects/{subject}/templates").json()["templates"]
    mesh = Mesh(*glb_vertices(client.get(template["links"]["mesh"]).content))
    pose = HeadPose.from_angles(yaw=yaw, pitch=0.0, roll=0.0, translation=np.array([0.0, 0.0, 600.0]))
    return np.asarray(simulate_capture(mesh, KIOSK_CAMERA, pose, Ideal(), np.random.default_rng(7)).depth)


def verify(
    client: httpx.Client, subject: str, *depth: bytes, intrinsics: str = INTRINSICS, **files: bytes
) -> httpx.Response:
    parts = [("depth", d) for d in depth] + list(files.items())
    return client.post(f"/v1/subjects/{subject}/verifications", files=parts, data={"intrinsics": intrinsics})


def dump(server: Server) -> list[str]:
    """Every row of every table as text."""
    with server.database() as db:
        return [
            repr(tuple(row)) for table in metadata.tables.values() for row in db.execute(sa.select(table))
        ]

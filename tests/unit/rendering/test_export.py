from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
import trimesh

from recon_service.domain.errors import InvalidValue
from recon_service.rendering.export import MESH_FORMATS, mesh_bytes


def read(content, kind):
    return trimesh.load(io.BytesIO(content), file_type=kind, process=False, force="mesh", maintain_order=True)


@pytest.mark.parametrize("kind", MESH_FORMATS)
def test_vertices_come_back_in_number_order_and_scale(ball, kind):
    mesh = ball(80.0, center=(1.0, 2.0, 3.0))
    back = read(mesh_bytes(mesh, kind), kind)
    unit = 1000.0 if kind == "glb" else 1.0
    assert back.vertices.shape == mesh.vertices.shape
    np.testing.assert_allclose(back.vertices * unit, mesh.vertices, atol=1e-4)
    np.testing.assert_array_equal(back.faces, mesh.triangles)
    assert back.volume > 0, "triangles must stay counter-clockwise from outside"


def test_glb_is_gltf_2_in_meters_with_normals_and_matte_clay(ball):
    content = mesh_bytes(ball(80.0), "glb", name="somebody")
    magic, version, length = struct.unpack("<4sII", content[:12])
    assert (magic, version, length) == (b"glTF", 2, len(content))
    tree = json.loads(content[20 : 20 + struct.unpack("<I", content[12:16])[0]])
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    assert set(attributes) == {"POSITION", "NORMAL"}
    assert max(tree["accessors"][attributes["POSITION"]]["max"]) == pytest.approx(0.08, abs=1e-6)
    assert tree["materials"][0]["doubleSided"]
    assert tree["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    assert tree["nodes"][0]["name"] == "somebody"


def test_ply_and_obj_carry_unit_normals(ball):
    mesh = ball(80.0)
    ply = mesh_bytes(mesh, "ply")
    start = ply.index(b"end_header\n") + len(b"end_header\n")
    rows = np.frombuffer(ply[start : start + len(mesh.vertices) * 24], "<f4").reshape(-1, 6)
    np.testing.assert_allclose(rows[:, 3:], mesh.vertex_normals(), atol=1e-6)
    lines = mesh_bytes(mesh, "obj", name="somebody").decode().splitlines()
    assert sum(line.startswith("vn ") for line in lines) == len(mesh.vertices)
    assert "o somebody" in lines


def test_an_unknown_format_is_refused_with_those_that_exist(ball):
    with pytest.raises(InvalidValue, match="glb, ply, obj"):
        mesh_bytes(ball(), "fbx")

"""Meshes as files: GLB for viewers and the web, PLY and OBJ for geometry tools."""

from __future__ import annotations

from typing import Final, Literal, cast

import trimesh
from trimesh.exchange.obj import export_obj
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from recon_service.domain.errors import InvalidValue
from recon_service.domain.mesh import Mesh

MeshFormat = Literal["glb", "ply", "obj"]
MESH_FORMATS: Final[tuple[MeshFormat, ...]] = ("glb", "ply", "obj")
CLAY_RGBA: Final = (206, 190, 177, 255)
"""sRGB of the clay in pictures."""


def mesh_bytes(mesh: Mesh, kind: str, *, name: str = "face") -> bytes:
    """The file of ``mesh`` (head frame: x to the subject's left, y up, z out of the face; millimetres).

    - ``"glb"``: glTF 2.0 binary, **meters** and y up, front toward +z, as the glTF specification demands;
      matte clay material, drawn from both sides because the face is an open surface.
    - ``"ply"``: binary little-endian, **millimetres**.
    - ``"obj"``: text, **millimetres**, one object called ``name``.

    Vertices keep their number and order, so that the file's vertex i is the model's; unit normals are
    included. Raises InvalidValue for another kind.
    """
    if kind not in MESH_FORMATS:
        raise InvalidValue(
            f"meshes cannot be written as {kind!r}", next_step=f"Ask for one of: {', '.join(MESH_FORMATS)}."
        )
    scale = 1e-3 if kind == "glb" else 1.0
    shape = trimesh.Trimesh(
        mesh.vertices * scale,
        mesh.triangles,
        vertex_normals=mesh.vertex_normals(),
        process=False,
        validate=False,
    )
    if kind == "glb":
        base = [channel / 255 for channel in CLAY_RGBA]
        clay = PBRMaterial(
            name="clay", baseColorFactor=base, metallicFactor=0.0, roughnessFactor=0.85, doubleSided=True
        )
        shape.visual = TextureVisuals(material=clay)
        scene = trimesh.Scene()
        scene.add_geometry(shape, node_name=name, geom_name=name)
        return cast(bytes, scene.export(file_type="glb", include_normals=True))
    if kind == "ply":
        return cast(bytes, shape.export(file_type="ply", vertex_normal=True, encoding="binary_little_endian"))
    text = export_obj(shape, include_normals=True, include_color=False, header=None)
    return f"# units: millimetres\no {name}\n{text}".encode()

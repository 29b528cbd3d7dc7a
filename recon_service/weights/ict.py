"""The canonical model's file, computed from the OBJ files that ICT-FaceKit publishes.

ICT-FaceKit (Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020; MIT) is a folder
of meshes with common vertices: the neutral mean, and the mean plus each identity mode and each expression.
Only the face area is taken; differences to the mean are turned from centimeters into millimeters and stored
as half floats.

Arrays of the result (N vertices, I identity modes, E expressions):

========== ==================== ========================================================================
mean       (N, 3) float32       mean shape, millimeters; x to the subject's left, y up, z out of the face
id_basis   (I, N, 3) float16    identity modes, millimeters per unit coefficient; coefficients are ~ N(0, 1)
ex_basis   (E, N, 3) float16    expressions, millimeters at full strength
tris       (T, 3) uint16        triangles; the original's quadrilaterals are cut from their first corner
ibug68     (68,) int32          vertices of the 68 landmarks (Multi-PIE order)
narrow_n   () int64             the first so many vertices are the narrow face area
ex_names   (E,) str             the original's names of the expressions
units      () str               "mm"
note       () str               origin and license
========== ==================== ========================================================================
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_service.weights.download import TransferFailed, http_client
from recon_service.weights.errors import DownloadFailed, WeightsAltered
from recon_service.weights.ict_files import (
    BASE_URL,
    COMMIT,
    LocalFolder,
    ObjFolder,
    RemoteFolder,
    read_triangles,
    read_vertices,
)
from recon_service.weights.landing import WrongBytes, land, locked, part_path, room_expected
from recon_service.weights.progress import Progress, Silent
from recon_service.weights.store import State, WeightStore

MILLIMETERS_PER_UNIT = 10.0
WEIGHT_NAME = "ict-face-model"

# All expressions of the original but PupilDilate_L, which moves nothing in the face area.
# fmt: off
EXPRESSIONS = (
    "PupilDilate_R",
    "browDown_L", "browDown_R", "browInnerUp_L", "browInnerUp_R", "browOuterUp_L", "browOuterUp_R",
    "cheekPuff_L", "cheekPuff_R", "cheekRaiser_L", "cheekRaiser_R", "cheekSquint_L", "cheekSquint_R",
    "eyeBlink_L", "eyeBlink_R", "eyeLookDown_L", "eyeLookDown_R", "eyeLookIn_L", "eyeLookIn_R",
    "eyeLookOut_L", "eyeLookOut_R", "eyeLookUp_L", "eyeLookUp_R",
    "eyeSquint_L", "eyeSquint_R", "eyeWide_L", "eyeWide_R",
    "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimple_L", "mouthDimple_R", "mouthFrown_L", "mouthFrown_R",
    "mouthFunnel", "mouthLeft",
    "mouthLowerDown_L", "mouthLowerDown_R", "mouthPress_L", "mouthPress_R", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmile_L", "mouthSmile_R",
    "mouthStretch_L", "mouthStretch_R", "mouthUpperUp_L", "mouthUpperUp_R", "noseSneer_L", "noseSneer_R",
)
# fmt: on


@dataclass(frozen=True)
class IctLayout:
    """Which part of the original is taken; the defaults are the face area of ICT-FaceKit Light."""

    vertices: int = 9409
    narrow_vertices: int = 6706
    identities: int = 100
    expressions: tuple[str, ...] = EXPRESSIONS

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the meshes that differ from the mean by one mode: identities, then expressions."""
        return (*(f"identity{index:03d}" for index in range(self.identities)), *self.expressions)


def build_ict_arrays(
    folder: ObjFolder,
    layout: IctLayout,
    *,
    vertices_of: Callable[[str], NDArray[np.float64]] | None = None,
    done: Callable[[int], None] = lambda count: None,
) -> dict[str, NDArray[Any]]:
    """Compute the arrays listed at the top of this module.

    ``vertices_of`` reads the first vertices of a mesh, (N, 3), in the original's centimeters (default:
    straight from `folder`);
    ``done`` hears how many of the meshes have been read.

    Raises
    ------
    TransferFailed
        A file is missing or is not what it should be.
    """
    read = vertices_of or (
        lambda name: read_vertices(folder.lines(f"{name}.obj"), layout.vertices, name=name)
    )
    neutral = list(folder.lines("generic_neutral_mesh.obj"))
    mean = read_vertices(neutral, layout.vertices, name="generic_neutral_mesh")
    landmarks = json.loads(b"\n".join(folder.lines("vertex_indices.json")))["idx_to_landmark_verts"]
    deltas = np.empty((len(layout.modes), layout.vertices, 3), dtype=np.float16)
    # A few files at a time hide the round trips of a remote folder.
    with ThreadPoolExecutor(max_workers=4) as pool:
        for index, vertices in enumerate(pool.map(read, layout.modes)):
            # By way of float32, as in the declared file: one value differs otherwise.
            deltas[index] = ((vertices - mean) * MILLIMETERS_PER_UNIT).astype(np.float32)
            done(index + 1)
    return {
        "mean": (mean * MILLIMETERS_PER_UNIT).astype(np.float32),
        "id_basis": deltas[: layout.identities],
        "ex_basis": deltas[layout.identities :],
        "tris": read_triangles(neutral, layout.vertices).astype(np.uint16),
        "ibug68": np.asarray(landmarks, dtype=np.int32),
        "narrow_n": np.asarray(layout.narrow_vertices, dtype=np.int64),
        "ex_names": np.asarray(layout.expressions),
        "units": np.asarray("mm"),
        # Part of the published file, to the letter.
        "note": np.asarray(
            "ICT-FaceKit Light, MIT licence, (c) USC ICT Vision and Graphics Lab; source commit "
            f"{COMMIT}; units converted cm->mm; identity modes scaled so that coefficients ~ N(0,1)"
        ),
    }


def write_npz(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write the arrays so that equal arrays give equal bytes (numpy stamps every member with 1980-01-01)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())


def build_ict(
    store: WeightStore,
    *,
    source: Path | None = None,
    base_url: str = BASE_URL,
    progress: Progress | None = None,
) -> Path:
    """Compute the canonical model's file into the weights folder, from a checkout or from the web.

    What has been read from the web is kept until the file is complete, so an interrupted build goes on where
    it stopped.

    Raises
    ------
    DownloadFailed
        A file of the original is missing or cannot be read.
    WeightsAltered
        The result is not the declared one: the original's files are not those of the pinned commit.
    """
    progress = progress or Silent()
    file = store.manifest.find(WEIGHT_NAME)
    target = store.target(file)
    layout = IctLayout()
    with locked(target, root=store.directory), http_client() as client:
        if target.is_file() and store.state(file) is State.PRESENT:
            progress.end(file.name, "already there")
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        folder: ObjFolder = LocalFolder(_face_x_model(source)) if source else RemoteFolder(client, base_url)
        cache = _Cache(target.with_name(target.name + ".vertices"), folder, layout, enabled=source is None)
        progress.begin(file.name, total=len(layout.modes), source=str(source or base_url))
        part = part_path(target)
        try:
            with room_expected(file, part):
                arrays = build_ict_arrays(
                    folder,
                    layout,
                    vertices_of=cache.vertices_of,
                    done=lambda count: progress.at(file.name, count),
                )
                write_npz(part, arrays)
                land(file, part, target)
        except TransferFailed as error:
            raise DownloadFailed(
                f"The original's files could not be read: {error}.",
                next_step="Run `recon weights build ict` again: it goes on where it stopped. "
                "Or give a checkout of ICT-VGL/ICT-FaceKit with --source.",
            ) from error
        except WrongBytes as error:
            cache.clear()
            raise WeightsAltered(
                f"The computed {file.name} is not the declared one ({error}).",
                next_step=f"Give a checkout of ICT-VGL/ICT-FaceKit at commit {COMMIT} with --source.",
            ) from error
        cache.clear()
        progress.end(file.name, "computed")
    return target


def _face_x_model(source: Path) -> Path:
    inner = source / "FaceXModel"
    return inner if inner.is_dir() else source


@dataclass(frozen=True)
class _Cache:
    """Vertices already read from the web, one small file per mesh."""

    path: Path
    folder: ObjFolder
    layout: IctLayout
    enabled: bool

    def vertices_of(self, name: str) -> NDArray[np.float64]:
        kept = self.path / f"{name}.npy"
        if self.enabled and kept.is_file():
            vertices: NDArray[np.float64] = np.load(kept, allow_pickle=False)
            return vertices
        vertices = read_vertices(self.folder.lines(f"{name}.obj"), self.layout.vertices, name=name)
        if self.enabled:
            self.path.mkdir(parents=True, exist_ok=True)
            part = part_path(kept)
            with part.open("wb") as stream:
                np.save(stream, vertices, allow_pickle=False)
            part.replace(kept)
        return vertices

    def clear(self) -> None:
        for kept in self.path.glob("*.npy*"):
            kept.unlink()
        if self.path.is_dir():
            self.path.rmdir()

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from recon_service.weights.digest import content_sha256, file_sha256
from recon_service.weights.download import TransferFailed, http_client
from recon_service.weights.errors import DownloadFailed, WeightsAltered
from recon_service.weights.ict import WEIGHT_NAME, IctLayout, build_ict, build_ict_arrays, write_npz
from recon_service.weights.ict_files import LocalFolder, RemoteFolder, read_triangles, read_vertices
from recon_service.weights.manifest import Manifest
from recon_service.weights.store import WeightStore

SMALL = IctLayout(vertices=4, narrow_vertices=2, identities=2, expressions=("jawOpen",))
NEUTRAL = np.array([[0, 0, 1], [1, 0, 1.5], [1, 1, -0.25], [0, 1, 1], [9, 9, 9]])
MODES = {"identity000": 0.1, "identity001": -0.02, "jawOpen": 0.3}


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A folder in the original's format: comments, quadrilaterals, a vertex outside of the face."""
    folder = tmp_path / "checkout" / "FaceXModel"
    folder.mkdir(parents=True)
    for name, step in {"generic_neutral_mesh": 0.0, **MODES}.items():
        vertices = "".join(f"v {x:g} {y + step:g} {z:g}\n" for x, y, z in NEUTRAL)
        faces = "f 1/1 2/1 3/1 4/1\nf 3/1 4/1 5/1\nf 1/1 2/1 4/1\n"
        text = f"# {name}\n\nmtllib a.mtl\n{vertices}vt 0 0\nusemtl m\n{faces}"
        (folder / f"{name}.obj").write_text(text)
    (folder / "vertex_indices.json").write_text(
        json.dumps({"idx_to_landmark_verts": [3, 0], "expressions": []})
    )
    return folder


def test_the_arrays_are_differences_to_the_mean_in_millimeters(original: Path) -> None:
    arrays = build_ict_arrays(LocalFolder(original), SMALL)
    np.testing.assert_array_equal(arrays["mean"], (NEUTRAL[:4] * 10).astype(np.float32))
    for stored, step in zip([*arrays["id_basis"], *arrays["ex_basis"]], MODES.values(), strict=True):
        np.testing.assert_allclose(stored, np.tile([0, step * 10, 0], (4, 1)), atol=2e-3)
    np.testing.assert_array_equal(arrays["tris"], [[0, 1, 2], [0, 2, 3], [0, 1, 3]])
    np.testing.assert_array_equal(arrays["ibug68"], [3, 0])
    assert arrays["ex_names"].tolist() == ["jawOpen"]
    assert arrays["narrow_n"] == 2
    kinds = {
        name: arrays[name].dtype for name in ("mean", "id_basis", "ex_basis", "tris", "ibug68", "narrow_n")
    }
    assert [str(kind) for kind in kinds.values()] == [
        "float32",
        "float16",
        "float16",
        "uint16",
        "int32",
        "int64",
    ]


def test_equal_arrays_give_equal_bytes(original: Path, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_npz(tmp_path / name, build_ict_arrays(LocalFolder(original), SMALL))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_reading_stops_at_the_last_vertex_asked_for() -> None:
    def lines() -> object:
        yield from (b"v 1 2 3", b"v 4 5 6")
        raise AssertionError("read on")

    np.testing.assert_array_equal(read_vertices(lines(), 2, name="mesh"), [[1, 2, 3], [4, 5, 6]])  # type: ignore[arg-type]


@pytest.mark.parametrize("lines", [[b"v 1 2 3"], [b"v 1 2 3", b"v 4 5"], [b"v 1 2 3", b"v 4 5 x"], []])
def test_half_and_broken_meshes_are_refused_by_name(lines: list[bytes]) -> None:
    with pytest.raises(TransferFailed, match="mesh"):
        read_vertices(lines, 2, name="mesh")


def test_no_faces_are_no_triangles() -> None:
    assert read_triangles([], 4).shape == (0, 3)


def store_for(directory: Path, declared: Path) -> WeightStore:
    """A store whose declaration of the canonical model is the file `declared`."""
    shipped = WeightStore.from_environment({}).manifest.find(WEIGHT_NAME)
    file = dataclasses.replace(
        shipped,
        sha256=file_sha256(declared),
        size=declared.stat().st_size,
        content_sha256=content_sha256(declared),
    )
    return WeightStore(manifest=Manifest((file,)), directory=directory)


@pytest.fixture
def small_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recon_service.weights.ict.IctLayout", lambda: SMALL)


@pytest.mark.usefixtures("small_layout")
def test_a_checkout_and_the_web_give_the_same_file_and_an_interrupted_build_goes_on(
    original: Path, tmp_path: Path
) -> None:
    write_npz(tmp_path / "declared.npz", build_ict_arrays(LocalFolder(original), SMALL))
    local = build_ict(store_for(tmp_path / "local", tmp_path / "declared.npz"), source=original.parent)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        asked: list[str] = []  # noqa: RUF012

        def do_GET(self) -> None:
            self.asked.append(self.path)
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(original))) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        away = (original / "jawOpen.obj").rename(tmp_path / "jawOpen.obj")
        store = store_for(tmp_path / "remote", tmp_path / "declared.npz")
        with pytest.raises(DownloadFailed, match=r"jawOpen\.obj: status 404"):
            build_ict(store, base_url=url)
        away.rename(original / "jawOpen.obj")
        remote = build_ict(store, base_url=url)
        assert Quiet.asked.count("/identity000.obj") == 1, "what was read before is kept"
        with http_client() as client:
            assert b"".join(RemoteFolder(client, url).lines("vertex_indices.json"))
        server.shutdown()
    assert remote.read_bytes() == local.read_bytes()
    assert [path.name for path in remote.parent.iterdir()] == ["ict_face_model.npz"], "nothing else is left"


@pytest.mark.usefixtures("small_layout")
def test_another_revision_of_the_original_does_not_land(original: Path, tmp_path: Path) -> None:
    write_npz(tmp_path / "declared.npz", build_ict_arrays(LocalFolder(original), SMALL))
    mesh = original / "identity001.obj"
    mesh.write_text(mesh.read_text().replace("-0.25", "-0.26"))
    store = store_for(tmp_path / "weights", tmp_path / "declared.npz")
    with pytest.raises(WeightsAltered, match="not the declared one"):
        build_ict(store, source=original)
    assert not any((tmp_path / "weights" / "ict_facekit").iterdir())


@pytest.mark.ict_source
def test_the_whole_original_gives_the_declared_file_to_the_byte(tmp_path: Path, weights_mirror: Path) -> None:
    source = os.environ.get("RECON_ICT_SOURCE")
    if not source:
        pytest.skip("RECON_ICT_SOURCE is unset: this test needs a checkout of ICT-VGL/ICT-FaceKit")
    store = WeightStore.from_environment({"RECON_WEIGHTS_DIR": str(tmp_path)})
    built = build_ict(store, source=Path(source))
    with np.load(built) as ours, np.load(weights_mirror / "ict_facekit/ict_face_model.npz") as declared:
        assert ours.files == declared.files
        for name in declared.files:
            assert ours[name].dtype == declared[name].dtype
            np.testing.assert_array_equal(ours[name], declared[name])
    assert content_sha256(built) == store.manifest.find(WEIGHT_NAME).content_sha256

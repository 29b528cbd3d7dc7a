from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

import recon_service.weights
from recon_service.weights import digest
from recon_service.weights.errors import WeightsAltered, WeightsMissing, WeightsNotAllowed
from recon_service.weights.manifest import Build, Conversion, Manifest, Url, WeightFile
from recon_service.weights.places import mirror_directory, weights_directory
from recon_service.weights.store import State, WeightStore

BODY = b"a model"
FILE = WeightFile(
    name="model",
    path="family/model.bin",
    title="a model",
    sha256=hashlib.sha256(BODY).hexdigest(),
    size=len(BODY),
    license="MIT",
    commercial_use=True,
    sources=(Url("https://example.org/model.bin"),),
)


@pytest.fixture
def store(tmp_path: Path) -> WeightStore:
    return WeightStore(manifest=Manifest((FILE,)), directory=tmp_path / "weights", mirror=tmp_path / "mirror")


def put(folder: Path | None, body: bytes, file: WeightFile = FILE) -> Path:
    assert folder is not None
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def test_a_missing_file_names_the_command(store: WeightStore) -> None:
    assert store.state(FILE) is State.MISSING
    with pytest.raises(WeightsMissing) as caught:
        store.locate("model")
    assert caught.value.next_step == "Run: recon weights pull model"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (Build("recon weights build ict"), "Run: recon weights build ict"),
        (Conversion("a checkpoint"), "RECON_WEIGHTS_MIRROR"),
        (None, "RECON_WEIGHTS_MIRROR"),
    ],
)
def test_the_next_step_fits_the_source(
    store: WeightStore, source: Build | Conversion | None, says: str
) -> None:
    file = dataclasses.replace(FILE, sources=(source,) if source else ())
    with pytest.raises(WeightsMissing) as caught:
        dataclasses.replace(store, manifest=Manifest((file,))).locate("model")
    assert says in caught.value.next_step


def test_the_mirror_is_used_in_place_and_the_weights_folder_goes_before_it(store: WeightStore) -> None:
    mirrored = put(store.mirror, BODY)
    assert store.state(FILE) is State.IN_MIRROR
    assert store.locate("model") == mirrored
    own = put(store.directory, BODY)
    assert store.state(FILE) is State.PRESENT
    assert store.locate("family/model.bin") == own


@pytest.mark.parametrize("body", [b"A model", b"a mode", b"a model!", b""])
def test_an_altered_file_is_never_handed_out_even_beside_a_sound_mirror(
    store: WeightStore, body: bytes
) -> None:
    put(store.directory, body)
    put(store.mirror, BODY)
    assert store.state(FILE) is State.ALTERED
    with pytest.raises(WeightsAltered, match="model"):
        store.locate("model")


def test_an_altered_mirror_is_told_apart(store: WeightStore) -> None:
    put(store.mirror, b"A model")
    with pytest.raises(WeightsAltered) as caught:
        store.locate("model")
    assert "mirror" in caught.value.next_step


def test_a_file_that_changes_under_a_running_process_is_noticed(store: WeightStore) -> None:
    path = put(store.directory, BODY)
    assert store.locate("model") == path
    path.write_bytes(b"A model")
    os.utime(path, ns=(1, 1))
    with pytest.raises(WeightsAltered):
        store.locate("model")


def test_an_untouched_file_is_hashed_once(store: WeightStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store.directory, BODY)
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return digest.file_sha256(path)

    monkeypatch.setattr("recon_service.weights.store.file_sha256", counting)
    for _ in range(3):
        store.locate("model")
    assert len(hashed) == 1


def test_noncommercial_files_are_refused_where_they_are_present(store: WeightStore) -> None:
    put(store.directory, BODY)
    research = dataclasses.replace(
        store,
        manifest=Manifest((dataclasses.replace(FILE, commercial_use=False),)),
        allow_noncommercial=False,
    )
    with pytest.raises(WeightsNotAllowed, match="license: MIT"):
        research.locate("model")
    assert dataclasses.replace(research, allow_noncommercial=True).locate("model").is_file()


def test_a_computed_file_is_known_by_its_arrays_whatever_compressed_it(store: WeightStore) -> None:
    arrays = {"mean": np.arange(6, dtype=np.float32).reshape(2, 3), "names": np.array(["a", "b"])}
    packed, plain = store.directory / "packed.npz", store.directory / "family" / "model.bin"
    plain.parent.mkdir(parents=True)
    np.savez_compressed(packed, **arrays)
    with plain.open("wb") as stream:
        np.savez(stream, **dict(reversed(arrays.items())))
    content = digest.content_sha256(packed)
    assert content == digest.content_sha256(plain)
    file = dataclasses.replace(
        FILE, sha256=digest.file_sha256(packed), size=packed.stat().st_size, content_sha256=content
    )
    computed = dataclasses.replace(store, manifest=Manifest((file,)))
    assert computed.locate("model") == plain
    for changed in (
        {"mean": arrays["mean"] + 1},
        {"mean": arrays["mean"].reshape(3, 2)},
        {"mean": np.arange(6)},
    ):
        with plain.open("wb") as stream:
            np.savez(stream, **{**arrays, **changed})
        assert computed.state(file) is State.ALTERED


def test_what_is_no_archive_of_arrays_has_no_content(tmp_path: Path) -> None:
    for name, body in {"text": b"not a zip", "empty": b"", "half": b"PK\x03\x04half"}.items():
        (tmp_path / name).write_bytes(body)
        assert digest.content_sha256(tmp_path / name) is None
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    assert digest.content_sha256(tmp_path / "objects.npz") is None, "pickles are never read"


def test_the_environment_says_where_to_look(tmp_path: Path) -> None:
    environment = {"RECON_WEIGHTS_DIR": str(tmp_path / "here"), "RECON_WEIGHTS_MIRROR": str(tmp_path)}
    assert weights_directory(environment) == tmp_path / "here"
    assert mirror_directory(environment) == tmp_path
    assert mirror_directory({}) is None
    store = WeightStore.from_environment({**environment, "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": "1"})
    assert store.allow_noncommercial
    assert not WeightStore.from_environment({"RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": "0"}).allow_noncommercial


def test_locate_reads_the_environment_of_the_moment(
    tmp_path: Path, weights_mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR")
    with pytest.raises(WeightsMissing):
        recon_service.weights.locate("face-landmark")
    monkeypatch.setenv("RECON_WEIGHTS_MIRROR", str(weights_mirror))
    assert recon_service.weights.locate("face-landmark").is_relative_to(weights_mirror.resolve())

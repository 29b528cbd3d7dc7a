"""FLAME, DECA and FaceVerse in the formats that they are published in, converted; and files that are not."""

from __future__ import annotations

import fractions
import importlib.util
import io
import os
import pickle
from typing import Any

import numpy as np
import pytest

from recon_service.weights.convert.encoders import deca_encoder, faceverse_encoder
from recon_service.weights.convert.errors import OriginalInvalid, PickleRefused
from recon_service.weights.convert.faceverse import faceverse_model
from recon_service.weights.convert.flame import flame_landmarks, flame_model
from tests.heads import faceverse, flame_arrays, landmark_table
from tests.original_files import (
    Ch,
    Select,
    checkpoint,
    deca_model,
    faceverse_file,
    faceverse_values,
    flame_values,
    generic_model,
    landmark_embedding,
    object_npy,
    python2_pickle,
)
from third_party.deca.flame import Flame
from third_party.deca.layout import encoder_shapes as deca_shapes
from third_party.faceverse.layout import encoder_shapes as faceverse_shapes
from third_party.faceverse.model import FaceVerse

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed (make torch)"
)


class Evil:
    """Calls what a model file has no business to call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo owned > owned",)


def test_flame_comes_out_as_it_went_in() -> None:
    wanted = flame_arrays(np.random.default_rng(0))
    got = flame_model(generic_model())
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-6, atol=1e-9, err_msg=name)
    Flame(**got)


def test_flame_pickled_by_python_3_is_the_same() -> None:
    """As those write who cleaned the file of chumpy."""
    values = {
        name: value.x if isinstance(value, Ch) else value
        for name, value in flame_values().items()
        if not isinstance(value, Select)
    }
    import scipy.sparse

    dense = flame_arrays(np.random.default_rng(0))
    values |= {
        "v_template": dense["template"],
        "J_regressor": scipy.sparse.csr_matrix(dense["joint_regressor"]),
    }
    for protocol in (2, 4, 5):
        got = flame_model(pickle.dumps(values, protocol=protocol))
        for name, value in flame_model(generic_model()).items():
            np.testing.assert_array_equal(got[name], value, err_msg=name)


@needs_torch
def test_landmarks_come_out_as_they_went_in() -> None:
    table = landmark_table(flame_arrays(np.random.default_rng(0))["triangles"])
    got = flame_landmarks(landmark_embedding())
    for name in ("fixed", "contour", "full"):
        np.testing.assert_array_equal(got[f"{name}_faces"], getattr(table, name).faces)
        np.testing.assert_allclose(got[f"{name}_weights"], getattr(table, name).barycentric, atol=1e-7)


def test_faceverse_comes_out_in_its_model_unit() -> None:
    wanted = faceverse()
    got = faceverse_model(faceverse_file())
    for name in ("mean", "identity_basis", "expression_basis", "triangles", "landmarks", "parts", "face"):
        np.testing.assert_allclose(got[name], getattr(wanted, name), rtol=1e-5, atol=1e-7, err_msg=name)
    assert got["mouth"].tolist() == [-1, -1], "a model without the published vertices has no such rule"
    FaceVerse(**got)


@needs_torch
@pytest.mark.parametrize("legacy", [False, True])
def test_encoders_come_out_of_both_formats_of_checkpoints(legacy: bool) -> None:
    """Of the shape of the published ones; broadcast tensors keep the files small."""
    import torch

    for shapes, convert, wrap in (
        (deca_shapes(), deca_encoder, lambda state: {"E_flame": state, "E_detail": {}, "D_detail": {}}),
        (faceverse_shapes(), faceverse_encoder, lambda state: state),
    ):
        state = {name: torch.full((1,), 0.5).expand(shape) for name, shape in shapes.items()}
        counts = {"encoder.bn1.num_batches_tracked": torch.tensor(3)}
        got = convert(checkpoint(wrap({**state, **counts}), legacy=legacy))
        assert {name: array.shape for name, array in got.items()} == shapes
        assert all(array.dtype == np.float32 and (array == 0.5).all() for array in got.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shapedirs": None}, "shapedirs"),
        ({"shapedirs": np.zeros((468, 3, 300))}, r"shapedirs .*\(468, 3, 300\), wanted .*\(468, 3, 400\)"),
        ({"posedirs": np.zeros((468, 3, 207))}, r"posedirs .*36"),
        ({"weights": np.zeros((468, 5))}, "sum to 1"),
        ({"J_regressor": np.zeros((5, 100))}, r"J_regressor .*\(5, 468\)"),
        ({"kintree_table": np.array([[-1, 2, 1, 1, 1], range(5)])}, "tree"),
        ({"f": np.array([[0, 1, 468]])}, "f names a vertex"),
        ({"f": np.zeros((0, 3), int)}, "f is"),
    ],
)
def test_what_is_no_flame_is_refused_with_what_was_wanted(change: dict[str, Any], said: str) -> None:
    with pytest.raises(OriginalInvalid, match=said):
        flame_model(generic_model(**change))


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_flame_in_other_units_is_refused(factor: float) -> None:
    template = factor * flame_arrays(np.random.default_rng(0))["template"]
    with pytest.raises(OriginalInvalid, match="meters"):
        flame_model(generic_model(v_template=template))


@needs_torch
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dynamic_lmk_faces_idx": None}, "dynamic_lmk_faces_idx"),
        ({"dynamic_lmk_bary_coords": np.zeros((79, 17, 3))}, "sum to 1"),
        ({"static_lmk_faces_idx": np.arange(68)}, r"static_lmk_faces_idx .*\(51\)"),
        ({"full_lmk_faces_idx": -np.ones((1, 68), int)}, "does not exist"),
    ],
)
def test_what_is_no_landmark_embedding_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(OriginalInvalid, match=said):
        flame_landmarks(landmark_embedding(**change))


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.float64])
def test_the_mask_of_the_face_may_be_of_any_kind_of_number(kind: Any) -> None:
    mask = faceverse_values()["face_mask"].astype(kind)[:, None]
    np.testing.assert_array_equal(faceverse_model(faceverse_file(face_mask=mask))["face"], faceverse().face)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"idBase": None}, "idBase"),
        ({"idBase": np.zeros((30, 156), np.float32)}, "idBase"),
        ({"exBase": faceverse_values()["exBase"][:, :52]}, r"exBase .*177"),
        ({"meanshape": faceverse_values()["meanshape"] / 100}, "millimeters"),
        ({"keypoints_68": np.full(68, 10**6)}, "keypoints_68"),
        ({"ver_inds": [5, 4, 3, 2, 1, 0]}, "ver_inds"),
        ({"face_mask": np.ones(7)}, "face_mask"),
    ],
)
def test_what_is_no_faceverse_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(OriginalInvalid, match=said):
        faceverse_model(faceverse_file(**change))


@needs_torch
def test_checkpoints_of_other_networks_are_refused() -> None:
    import torch

    with pytest.raises(OriginalInvalid, match="E_flame"):
        deca_encoder(checkpoint({"state_dict": {}}))
    with pytest.raises(OriginalInvalid, match=r"encoder\.conv1\.weight"):
        deca_encoder(deca_model({"layers.0.bias": np.zeros(1024, np.float32)}))
    with pytest.raises(OriginalInvalid, match=r"backbone\.conv1\.weight .*\(64, 3, 7, 7\)"):
        faceverse_encoder(checkpoint({"backbone.conv1.weight": torch.zeros(32, 3, 7, 7)}))


@pytest.mark.parametrize("place", ["value", "inside chumpy", "array"])
@pytest.mark.parametrize("convert", [flame_model, flame_landmarks, faceverse_model])
def test_a_malicious_file_is_refused_and_nothing_runs(
    place: str, convert: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil: Any = {"value": Evil(), "inside chumpy": Ch(Evil()), "array": np.array([Evil()], dtype=object)}[
        place
    ]  # type: ignore[arg-type]
    content = python2_pickle({"v_template": evil})
    if convert is not flame_model:
        npy = object_npy({})
        header = npy[: npy.index(b"\n") + 1]
        content = header + content
    with pytest.raises(PickleRefused, match="system"):
        convert(content)
    assert not (tmp_path / "owned").exists()


@needs_torch
def test_a_malicious_tensor_storage_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes inside a pickled tensor are a pickle of their own."""
    import torch

    monkeypatch.chdir(tmp_path)

    class Storage:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch.storage._load_from_bytes, (pickle.dumps(Evil()),)

    with pytest.raises(PickleRefused, match="system"):
        flame_landmarks(object_npy({"static_lmk_faces_idx": Storage()}))
    for legacy in (False, True):
        with pytest.raises(PickleRefused, match="system"):
            deca_encoder(checkpoint({"E_flame": Evil()}, legacy=legacy))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "kind", [fractions.Fraction, io.BytesIO, pickle.loads], ids=["a number", "a stream", "a function"]
)
def test_only_listed_names_pass(kind: Any) -> None:
    with pytest.raises(PickleRefused):
        flame_model(pickle.dumps({"v_template": kind}))


def test_damaged_files_are_typed_errors() -> None:
    whole = generic_model()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole[:20000] + whole[-20000:])
        for _ in range(3):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        with pytest.raises((OriginalInvalid, PickleRefused)):
            flame_model(bytes(damaged))
    for cut in (0, 1, 100, len(whole) // 2):
        with pytest.raises(OriginalInvalid):
            flame_model(whole[:cut])
    with pytest.raises(OriginalInvalid, match="npy"):
        flame_landmarks(whole)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["v_template"] = loop
    with pytest.raises(OriginalInvalid, match="itself"):
        flame_model(pickle.dumps(loop))


def test_the_command_keeps_what_it_made_and_the_license_is_held(tmp_path: Any) -> None:
    from recon_service.weights.convert.originals import convert
    from recon_service.weights.derived import locate_derived
    from recon_service.weights.errors import WeightsMissing, WeightsNotAllowed
    from recon_service.weights.store import WeightStore

    def store(allow: str) -> WeightStore:
        return WeightStore.from_environment(
            {"RECON_WEIGHTS_DIR": str(tmp_path / "weights"), "RECON_ALLOW_NONCOMMERCIAL_WEIGHTS": allow}
        )

    original = tmp_path / "generic_model.pkl"
    original.write_bytes(generic_model())
    with pytest.raises(
        WeightsMissing, match=r"recon weights convert flame --from generic_model\.pkl --unverified"
    ):
        locate_derived(store("1"), "flame")
    with pytest.raises(OriginalInvalid, match="--unverified"):
        convert(store("1"), "flame", source=original)
    for forbidden in (
        lambda: convert(store(""), "flame", source=original, unverified=True),
        lambda: locate_derived(store(""), "flame"),
    ):
        with pytest.raises(WeightsNotAllowed, match="Max Planck"):
            forbidden()
    path = convert(store("1"), "flame", source=original, unverified=True)
    assert locate_derived(store("1"), "flame") == path
    with np.load(path, allow_pickle=False) as file:
        Flame(**dict(file))

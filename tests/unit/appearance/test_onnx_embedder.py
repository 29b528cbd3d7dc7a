from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.appearance import onnx_embedder
from recon_service.appearance.embedder import SIDE, batch
from recon_service.appearance.onnx_embedder import OnnxEmbedder
from recon_service.domain.errors import InvalidValue
from tests.onnx_bytes import projection

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((3 * SIDE * SIDE, 8)).astype(np.float32)
PICTURES = [RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(2)]


@pytest.fixture(params=["onnxruntime", "opencv"])
def model(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: install the extra cpu")
    else:
        monkeypatch.setattr(onnx_embedder, "_by_onnxruntime", lambda content: None)
    (tmp_path / "own.onnx").write_bytes(projection(WEIGHT))
    return tmp_path / "own.onnx"


def test_any_network_of_the_signature_embeds(model: Path) -> None:
    embedder = OnnxEmbedder(model)
    vectors = embedder.embed(PICTURES)
    raw = batch(PICTURES).transpose(0, 3, 1, 2).reshape(4, -1) @ WEIGHT
    expected = raw[:2] + raw[2:]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    assert (embedder.name, embedder.dimension) == ("own", 8)


def test_colors_are_swapped_on_request(model: Path) -> None:
    swapped = [picture[..., ::-1] for picture in PICTURES]
    np.testing.assert_allclose(
        OnnxEmbedder(model, bgr=True).embed(PICTURES), OnnxEmbedder(model).embed(swapped), atol=1e-6
    )


@pytest.mark.parametrize("content", [b"", b"no network at all"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(InvalidValue, match=r"bad\.onnx does not run"):
        OnnxEmbedder(tmp_path / "bad.onnx")


def test_a_network_for_other_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.onnx").write_bytes(projection(np.ones((3 * 64, 4)), side=8))
    with pytest.raises(InvalidValue):
        OnnxEmbedder(tmp_path / "small.onnx")


@pytest.mark.parametrize("picture", [np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE, 3), np.float32)])
def test_pictures_of_another_kind_are_refused(model: Path, picture: np.ndarray) -> None:
    with pytest.raises(InvalidValue):
        OnnxEmbedder(model).embed([picture])
    with pytest.raises(InvalidValue):
        OnnxEmbedder(model).embed([])

"""Networks of TensorFlow Lite, on the two that the package index gives."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from recon_service.networks.tflite import TFLiteNetwork
from recon_service.weights import locate

OUTPUTS = ("conv2d_31", "conv2d_21")


@pytest.fixture(scope="module")
def weights() -> Path:
    return locate("face-landmark")


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.random((192, 192, 3), dtype=np.float32) for _ in range(count)]


def test_another_engine_computes_the_same(weights: Path) -> None:
    network = TFLiteNetwork(weights, OUTPUTS)
    other = cv2.dnn.readNetFromTFLite(str(weights), cv2.dnn.ENGINE_CLASSIC)
    for picture in pictures(3):
        other.setInput(picture.transpose(2, 0, 1)[None].copy())
        for found, wanted in zip(network.run(picture), other.forward(OUTPUTS), strict=True):
            np.testing.assert_allclose(found.ravel(), wanted.ravel(), atol=1e-3)


def test_threads_may_share_a_network(weights: Path) -> None:
    network, some = TFLiteNetwork(weights, OUTPUTS), pictures(8)
    alone = [network.run(picture) for picture in some]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network.run, some * 4))
    for k, found in enumerate(together):
        for one, other in zip(found, alone[k % 8], strict=True):
            np.testing.assert_array_equal(one, other)


def test_loading_says_nothing_on_the_error_output(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    TFLiteNetwork(weights, OUTPUTS)
    os.write(2, b"afterwards it is heard")
    assert capfd.readouterr().err == "afterwards it is heard"


def test_an_output_that_is_not_there_is_named(weights: Path) -> None:
    with pytest.raises(ValueError, match="no output nothing"):
        TFLiteNetwork(weights, ("conv2d_31", "nothing"))


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(b"TFL3" * 50)
    with pytest.raises(ValueError, match="odel"):
        TFLiteNetwork(tmp_path / "x.tflite", OUTPUTS)

"""ResNet-50 in torch, as an ONNX graph, and written out in numpy: three ways to one result."""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks import WIDTHS, resnet50_in_numpy, resnet50_parameters

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from third_party.resnet50.graph import GraphBuilder  # noqa: E402
from third_party.resnet50.network import ResNet50  # noqa: E402

SMALL = (4, 6, 8, 10)


@pytest.fixture(scope="module")
def small() -> dict[str, np.ndarray]:
    return resnet50_parameters(np.random.default_rng(3), widths=SMALL)


def in_torch(parameters: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    network = ResNet50(SMALL).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in parameters.items()})
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


def in_onnx(parameters: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    builder = GraphBuilder(parameters)
    features = builder.trunk("image", "")
    model = builder.model("image", features, side=images.shape[2], outputs=4 * SMALL[-1], name="trunk")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def test_torch_and_onnx_agree_with_the_definition(small: dict[str, np.ndarray]) -> None:
    images = np.random.default_rng(5).random((2, 3, 64, 64), dtype=np.float32)
    wanted = np.stack([resnet50_in_numpy(image, small) for image in images])
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(in_torch(small, images), wanted, atol=2e-5)
    np.testing.assert_allclose(in_onnx(small, images), wanted, atol=2e-5)


def test_the_published_names_and_shapes() -> None:
    wanted = {name: value.shape for name, value in resnet50_parameters(np.random.default_rng(0)).items()}
    with torch.device("meta"):
        network = ResNet50()
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == wanted
    # Known of ResNet-50 without its classifier.
    assert sum(p.numel() for p in network.parameters()) == 23_508_032
    assert WIDTHS[-1] * 4 == 2048

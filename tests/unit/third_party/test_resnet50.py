"""ResNet-50 in torch, as an ONNX graph, and written out in numpy: three ways to one result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.networks import resnet50_in_numpy, resnet50_parameters
from third_party.resnet50.parameters import parameter_shapes

SMALL = (4, 6, 8, 10)
Run = Callable[[dict[str, np.ndarray], np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def small() -> dict[str, np.ndarray]:
    return resnet50_parameters(np.random.default_rng(3), widths=SMALL)


def in_torch(parameters: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    torch = pytest.importorskip("torch", reason="torch is not installed (make torch)")
    from third_party.resnet50.network import ResNet50

    network = ResNet50(SMALL).eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in parameters.items()})
    with torch.no_grad():
        return network(torch.from_numpy(images)).numpy()


def in_onnx(parameters: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    ort = pytest.importorskip("onnxruntime", reason="the backends need the extra `cpu` or `gpu`")
    pytest.importorskip("onnx", reason="the backends need the extra `cpu` or `gpu`")
    from third_party.resnet50.graph import GraphBuilder

    builder = GraphBuilder(parameters)
    features = builder.trunk("image", "")
    model = builder.model("image", features, side=images.shape[2], outputs=4 * SMALL[-1], name="trunk")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


@pytest.mark.parametrize("run", [in_torch, in_onnx])
def test_it_is_the_definition(run: Run, small: dict[str, np.ndarray]) -> None:
    images = np.random.default_rng(5).random((2, 3, 64, 64), dtype=np.float32)
    wanted = np.stack([resnet50_in_numpy(image, small) for image in images])
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(run(small, images), wanted, atol=2e-5)


def test_names_and_shapes_are_known_without_a_framework() -> None:
    made = {
        name: value.shape
        for name, value in resnet50_parameters(np.random.default_rng(0)).items()
        if not name.endswith("num_batches_tracked")
    }
    assert parameter_shapes() == made
    learned = [shape for name, shape in made.items() if "running" not in name]
    # Known of ResNet-50 without its classifier.
    assert sum(int(np.prod(shape)) for shape in learned) == 23_508_032


def test_the_published_names_and_shapes() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (make torch)")
    from third_party.resnet50.network import ResNet50

    with torch.device("meta"):
        network = ResNet50()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    counters = {name: () for name in shapes if name.endswith("num_batches_tracked")}
    assert shapes == {**parameter_shapes(), **counters}

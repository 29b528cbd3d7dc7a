"""EdgeFace against its torch definition, and what an embedder promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.appearance.edgeface import EdgeFace
from recon_service.appearance.embedder import batch
from recon_service.domain.errors import InvalidValue

SIZES = ("xs", "xxs")


def noise(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))


@pytest.fixture(scope="module", params=SIZES)
def weights(request: pytest.FixtureRequest, weights_mirror: Path) -> Path:
    return weights_mirror / "edgeface" / f"edgeface_{request.param}.safetensors"


def test_the_network_agrees_with_its_torch_definition(weights: Path) -> None:
    torch = pytest.importorskip("torch", reason="the reference is a torch module: install the extra cpu")
    network = pytest.importorskip("third_party.edgeface.network")
    from recon_service.networks.safetensors import read_safetensors

    reference = network.EdgeFace(weights.stem.removeprefix("edgeface_")).eval()
    parameters = {name: torch.tensor(array) for name, array in read_safetensors(weights).items()}
    reference.load_state_dict(parameters, strict=True)
    pixels = batch([noise(0), noise(1)])
    with torch.no_grad():
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        expected = reference(planes).numpy()
    np.testing.assert_allclose(EdgeFace(weights)._network(pixels), expected, atol=1e-4)


def test_vectors_have_length_one_and_do_not_depend_on_the_batch_nor_on_mirroring(weights: Path) -> None:
    embedder = EdgeFace(weights)
    pictures = [noise(0), noise(1), noise(0)[:, ::-1]]
    vectors = embedder.embed(pictures)
    assert vectors.shape == (3, embedder.dimension) == (3, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(vectors[1], embedder.embed(pictures[1:2])[0], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)
    assert vectors[0] @ vectors[1] < 0.99


def test_the_version_is_that_of_the_parameters(weights_mirror: Path) -> None:
    one, other = (EdgeFace(weights_mirror / "edgeface" / f"edgeface_{size}.safetensors") for size in SIZES)
    assert one.version == "e67569ad96d023dc"
    assert one.version != other.version


def test_parameters_of_another_network_are_refused(weights_mirror: Path) -> None:
    with pytest.raises(InvalidValue, match="does not hold an EdgeFace network"):
        EdgeFace(weights_mirror / "faceboxes" / "FaceBoxesProd.safetensors")

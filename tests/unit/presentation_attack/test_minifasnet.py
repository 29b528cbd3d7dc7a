from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.errors import InvalidValue
from recon_service.domain.images import Image
from recon_service.networks.safetensors import read_safetensors
from recon_service.presentation_attack.minifasnet import SIDE, MiniFasNet, bona_fide_share, crop
from recon_service.weights.convert.originals import DECLARED

FILES = {"minifasnet-v2": "2.7_80x80_MiniFASNetV2.pth", "minifasnet-v1se": "4_0_0_80x80_MiniFASNetV1SE.pth"}


@pytest.fixture(scope="module", params=FILES)
def weights(
    request: pytest.FixtureRequest, weights_mirror: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    original = (weights_mirror / "minifasnet" / FILES[request.param]).read_bytes()
    path = tmp_path_factory.mktemp("converted") / f"{request.param}.safetensors"
    path.write_bytes(DECLARED[request.param].convert(original))
    return path


def test_the_network_agrees_with_its_torch_definition(weights: Path) -> None:
    torch = pytest.importorskip("torch", reason="the reference is a torch module: install the extra cpu")
    reference = pytest.importorskip("third_party.minifasnet.network")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, SIDE, SIDE, 3)).astype(np.float32)
    parameters = {name: torch.tensor(array) for name, array in read_safetensors(weights).items()}
    with torch.no_grad():
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        expected = torch.softmax(reference.class_logits(planes, parameters), dim=1).numpy()
    np.testing.assert_allclose(MiniFasNet.read(weights, scale=2.7).probabilities(pixels), expected, atol=1e-5)


def test_a_share_is_between_nothing_and_all(weights: Path) -> None:
    image = Image(np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8))
    share = bona_fide_share(image, (20.0, 30.0, 60.0, 90.0), (MiniFasNet.read(weights, scale=4.0),))
    assert 0.0 <= share <= 1.0


def test_a_crop_is_the_enlarged_box_moved_inside_in_blue_green_red() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[..., 0] = np.arange(200)[None]
    seen = crop(Image(pixels), (0.0, 80.0, 20.0, 100.0), 4.0)[0]
    assert seen.shape == (SIDE, SIDE, 3)
    assert not seen[..., :2].any()
    np.testing.assert_allclose(seen[0, [0, -1], 2], [0, 80], atol=1.5)
    whole = crop(Image(pixels), (90.0, 90.0, 110.0, 110.0), 100.0)[0]
    np.testing.assert_allclose(whole[0, [0, -1], 2], [0, 199], atol=2.0)


def test_parameters_of_another_network_are_refused(weights_mirror: Path) -> None:
    with pytest.raises(InvalidValue):
        MiniFasNet.read(weights_mirror / "faceboxes" / "FaceBoxesProd.safetensors", scale=2.7)

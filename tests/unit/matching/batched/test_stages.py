"""Each stage of matching in batches against the same stage for one picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")

from recon_service.domain.errors import InvalidValue  # noqa: E402
from recon_service.matching import PictureSet, SurfaceMatcher  # noqa: E402
from recon_service.matching.batched import BatchedSurfaceMatcher, TorchDevice, torch_device  # noqa: E402
from recon_service.matching.batched.cameras import BatchedCameras  # noqa: E402
from recon_service.matching.batched.images import blurred, eroded, sampled, slopes  # noqa: E402
from recon_service.matching.batched.shading import shading_of  # noqa: E402
from recon_service.matching.batched.skin import DeviceSkin  # noqa: E402
from recon_service.matching.shading import shading  # noqa: E402
from recon_service.matching.unrolled import UnrolledSkin  # noqa: E402
from tests.observations import builtin_model  # noqa: E402
from tests.speckled import speckled_pictures, true_fit  # noqa: E402

MODEL = builtin_model()
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    noise = np.random.default_rng(1).standard_normal((3, 90, 70)).astype(np.float32)
    return np.stack([100 * cv2.GaussianBlur(one, (0, 0), 1.5) for one in noise])


def test_pixels_between_pixels_are_those_of_opencv(pictures: np.ndarray) -> None:
    places = np.random.default_rng(2).uniform(-5, 95, (3, 200, 2)).astype(np.float32)
    found = sampled(torch.from_numpy(pictures)[:, None], torch.from_numpy(places))[:, 0].numpy()
    for k, one in enumerate(pictures):
        x, y = places[k].T
        wanted = cv2.remap(one, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        # OpenCV rounds places to a 32nd of a pixel.
        assert np.abs(found[k] - wanted).max() < 2 * np.abs(np.diff(one)).max() / 32


def test_blurring_is_that_of_opencv(pictures: np.ndarray) -> None:
    found = blurred(torch.from_numpy(pictures), 4.0).numpy()
    for got, one in zip(found, pictures, strict=True):
        np.testing.assert_allclose(got, cv2.GaussianBlur(one, (0, 0), 4.0), atol=1e-3)


def test_eroding_is_that_of_opencv(pictures: np.ndarray) -> None:
    masks = pictures > -20
    found = eroded(torch.from_numpy(masks), 7).numpy()
    for got, mask in zip(found, masks, strict=True):
        wanted = cv2.erode(
            mask.astype(np.uint8), np.ones((7, 7)), borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        np.testing.assert_array_equal(got, wanted > 0)


def test_slopes_are_those_of_a_ramp() -> None:
    rows, columns = np.mgrid[:20, :30].astype(np.float32)
    across, down = slopes(torch.from_numpy((3 * columns - 2 * rows)[None]))
    np.testing.assert_allclose(across[0, 1:-1, 1:-1], 3.0)
    np.testing.assert_allclose(down[0, 1:-1, 1:-1], -2.0)


def test_light_is_that_of_one_picture_and_heeds_only_what_is_seen() -> None:
    rng = np.random.default_rng(2)
    normals = rng.standard_normal((2, 3000, 3)) + np.array([0.0, 0.0, -2.0])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    brightness = 100 + 60 * normals[..., 0] - 40 * normals[..., 2] + rng.normal(0, 8, (2, 3000))
    brightness[:, :150] *= 0.3
    seen = rng.uniform(size=(2, 3000)) < 0.7
    brightness[~seen] = 1e4
    found = shading_of(
        *(torch.from_numpy(v.astype(np.float32)) for v in (brightness, normals)), torch.from_numpy(seen)
    ).numpy()
    for k in range(2):
        wanted = shading(brightness[k, seen[k]], normals[k, seen[k]])
        np.testing.assert_allclose(found[k, seen[k]], wanted, atol=2e-3)
        assert (found[k, ~seen[k]] == 1.0).all()


def test_a_picture_that_shows_nothing_has_even_light() -> None:
    nothing = shading_of(torch.ones(1, 50), torch.zeros(1, 50, 3), torch.zeros(1, 50, dtype=torch.bool))
    assert (nothing == 1.0).all()


def test_cameras_project_into_the_working_view_with_their_distortion() -> None:
    truth = true_fit()
    bent = [
        replace(c, camera=replace(c.camera, distortion=(0.1 * k, -0.05, 0.002, -0.001, 0.01)))
        for k, c in enumerate(truth.captures)
    ]
    views = SurfaceMatcher(MODEL).views(speckled_pictures(), truth)
    head = MODEL.vertices.mean
    cameras = BatchedCameras.of(bent, views, CPU)
    found = cameras.project(cameras.posed(torch.from_numpy(head.astype(np.float32)).expand(3, -1, -1)))
    for capture, view, pixels in zip(bent, views, found.numpy(), strict=True):
        wanted = view.to_working(capture.camera.project(capture.pose.apply(head)))
        np.testing.assert_allclose(pixels, wanted, atol=2e-3)


def test_skin_on_the_device_is_the_unrolled_skin() -> None:
    skin = UnrolledSkin.of(MODEL, 2.0)
    device, rng = DeviceSkin(skin, CPU), np.random.default_rng(4)
    identities, expressions = rng.standard_normal((2, 60)), 0.3 * rng.standard_normal((2, 25))
    points = device.points(*(torch.from_numpy(v.astype(np.float32)) for v in (identities, expressions)))
    normals, spread = device.normals(points), device.spread(points, outside=-1.0)
    for k in range(2):
        wanted = skin.posed(skin.neutral(identities[k]), expressions[k])
        np.testing.assert_allclose(points[k], wanted, atol=1e-3)
        np.testing.assert_allclose(normals[k], skin.normals(wanted), atol=1e-3)
        np.testing.assert_allclose(spread[k].permute(1, 2, 0), skin.spread(wanted, outside=-1.0), atol=1e-3)


def test_textures_are_those_of_one_picture() -> None:
    truth, single = true_fit(), SurfaceMatcher(MODEL)
    views = single.views(speckled_pictures(), truth)
    found = BatchedSurfaceMatcher(MODEL, device=TorchDevice.CPU).unrolled([PictureSet(views, truth, [])])
    for k, wanted in enumerate(single.unrolled(views, truth, 0.65)):
        np.testing.assert_array_equal(found.mask[k], wanted.mask > 0)
        np.testing.assert_array_equal(found.seen[k], wanted.seen)
        # Working values are rounded here and cut off there, where neighborhoods are at half the resolution:
        # at the edge of what is seen that makes some gray levels.
        off = np.abs(found.pixels[k].numpy() + 128 - wanted.pixels)[wanted.mask > 0]
        assert np.quantile(off, 0.99) <= 3
        assert off.max() <= 16
        np.testing.assert_allclose(
            views[k].to_picture(found.nodes[k].double().numpy()), wanted.nodes, atol=2e-3
        )


def test_a_device_that_is_not_there_is_refused() -> None:
    assert torch_device(TorchDevice.CPU).type == "cpu"
    if torch.cuda.is_available():
        assert torch_device(TorchDevice.AUTO).type == torch_device(TorchDevice.CUDA).type == "cuda"
    else:
        assert torch_device(TorchDevice.AUTO).type == "cpu"
        with pytest.raises(InvalidValue, match="no CUDA device"):
            torch_device(TorchDevice.CUDA)

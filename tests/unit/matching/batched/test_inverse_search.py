"""Dense inverse search in batches, on motion that is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="the extra 'torch' is not installed")

from recon_service.matching.batched.inverse_search import inverse_search  # noqa: E402
from recon_service.matching.flow import FINEST_SCALE, SMOOTHING  # noqa: E402

SHAPE = (181, 150)
INNER = (slice(20, -20), slice(20, -20))
Picture = NDArray[np.uint8]


def smooth(rng: np.random.Generator, sd: float, size: float) -> NDArray[np.float32]:
    field = cv2.GaussianBlur(rng.standard_normal(SHAPE).astype(np.float32), (0, 0), sd)
    return np.asarray(size * field / field.std(), dtype=np.float32)


def moving(seed: int) -> tuple[Picture, Picture, NDArray[np.float32]]:
    """Two noisy pictures and the motion between them, about 3 pixels, smooth."""
    rng = np.random.default_rng(seed)
    second = 128 + smooth(rng, 1.5, 40)
    motion = np.stack([smooth(rng, 25, 3), smooth(rng, 25, 3)], axis=-1)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    first = cv2.remap(
        second,
        columns + motion[..., 0],
        rows + motion[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    noisy = (np.clip(p + rng.normal(0, 5, SHAPE), 0, 255).astype(np.uint8) for p in (first, second))
    one, other = noisy
    return one, other, motion


def searched(pairs: list[tuple[Picture, Picture]], *, patches_at_once: int = 4096) -> NDArray[np.float32]:
    one, other = (torch.from_numpy(np.stack(p).astype(np.float32) - 128) for p in zip(*pairs, strict=True))
    return np.asarray(inverse_search(one, other, patches_at_once=patches_at_once).numpy())


def error(found: NDArray[np.float32], motion: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.sum((found - motion)[INNER] ** 2, axis=-1))))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_as_exact_as_opencv(seed: int) -> None:
    one, other, motion = moving(seed)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow.setUseMeanNormalization(True)
    flow.setFinestScale(FINEST_SCALE)
    flow.setVariationalRefinementIterations(SMOOTHING)
    theirs = flow.calc(one, other, np.zeros((*SHAPE, 2), np.float32))
    ours = searched([(one, other)])[0]
    assert error(ours, motion) < 1.1 * error(theirs, motion)
    assert np.median(np.linalg.norm((ours - theirs)[INNER], axis=-1)) < 0.1


def test_a_shift_of_whole_pixels_is_found_exactly() -> None:
    picture = (128 + smooth(np.random.default_rng(5), 2.0, 40)).astype(np.uint8)
    found = searched([(picture, np.roll(picture, (2, -3), axis=(0, 1)))])[0]
    np.testing.assert_allclose(np.median(found[INNER], axis=(0, 1)), [-3, 2], atol=0.01)


def test_gain_and_offset_of_one_picture_do_not_move_skin() -> None:
    one, other, motion = moving(3)
    brighter = np.clip(other.astype(float) + 12, 0, 255).astype(np.uint8)
    assert error(searched([(one, brighter)])[0], motion) < 1.3 * error(searched([(one, other)])[0], motion)


def test_pairs_do_not_know_of_each_other_nor_of_the_size_of_a_lot() -> None:
    pairs = [moving(seed)[:2] for seed in (0, 1)]
    together = searched(pairs)
    for k, pair in enumerate(pairs):
        np.testing.assert_allclose(together[k], searched([pair])[0], atol=1e-3)
    few = searched(pairs, patches_at_once=100)
    assert np.percentile(np.abs(few - together), 99.9) < 1e-3


def test_pictures_without_texture_stand_still() -> None:
    nothing = np.full(SHAPE, 128, np.uint8)
    assert (searched([(nothing, moving(0)[1])]) == 0).all()
    assert np.isfinite(searched([(moving(0)[0], nothing)])).all()


@pytest.mark.parametrize("shape", [(33, 41), (64, 40), (47, 90)])
def test_any_size_will_do(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    picture = torch.from_numpy(40 * cv2.GaussianBlur(noise, (0, 0), 1.0))[None]
    found = inverse_search(picture, picture, patches_at_once=4096)
    assert found.shape == (1, *shape, 2)
    assert found.abs().max() < 1e-3

"""The appearance of pictures, with the real detector and landmarks, and a network that only averages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.appearances import appearance_of, light_of
from recon_service.assembly import load_appearance
from recon_service.domain.appearance import Light
from recon_service.domain.arrays import Array
from recon_service.domain.faces import FaceLandmarks
from recon_service.domain.images import Image
from recon_service.weights import WeightsMissing

RNG = np.random.default_rng(0)


class Colors:
    """Embeds a picture as the direction of its mean color."""

    name, version, dimension = "colors", "1", 3

    def embed(self, pictures: Sequence[np.ndarray]) -> Array:
        means = np.stack([p.reshape(-1, 3).mean(axis=0) for p in pictures])
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))


def picture(color: tuple[int, int, int]) -> tuple[Image, FaceLandmarks]:
    points = RNG.uniform(20, 80, (468, 2))
    image = Image(np.full((100, 100, 3), color, np.uint8))
    return image, FaceLandmarks("facemesh468", points, presence=1.0, depth=np.zeros(468))


def test_light_is_told_by_the_channels() -> None:
    assert light_of(picture((9, 9, 9))[0]) is Light.INFRARED
    assert light_of(picture((9, 8, 9))[0]) is Light.VISIBLE


def test_only_pictures_in_the_prevailing_light_are_averaged() -> None:
    pictures = [picture((200, 10, 10)), picture((90, 90, 90)), picture((100, 5, 5))]
    found = appearance_of(pictures, Colors())
    assert found is not None
    assert (found.light, found.count, found.embedder) == (Light.VISIBLE, 2, "colors")
    assert found.mean[0] > 0.9


def test_without_a_network_or_without_a_face_there_is_no_appearance() -> None:
    assert appearance_of([picture((1, 2, 3))], None) is None
    assert appearance_of([], Colors()) is None


def test_auto_takes_the_network_only_where_it_is_there_and_allowed(
    weights_mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECON_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("RECON_WEIGHTS_MIRROR", str(weights_mirror))
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
    found = load_appearance()
    assert found is not None
    assert found.name == "edgeface-xs"
    assert load_appearance("off") is None
    monkeypatch.delenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS")
    assert load_appearance() is None
    monkeypatch.delenv("RECON_WEIGHTS_MIRROR")
    monkeypatch.setenv("RECON_ALLOW_NONCOMMERCIAL_WEIGHTS", "1")
    assert load_appearance() is None
    with pytest.raises(WeightsMissing):
        load_appearance("edgeface-xxs")

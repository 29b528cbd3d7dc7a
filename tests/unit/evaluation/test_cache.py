from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import InvalidValue
from recon_service.evaluation.cache import ObservationCache, content_key, default_cache_folder
from recon_service.evaluation.observing import Observation
from tests.observations import random_posterior


def test_what_is_kept_comes_back_to_the_bit(tmp_path: Path) -> None:
    cache = ObservationCache.opened(tmp_path / "cache")
    posterior = random_posterior(np.random.default_rng(0))
    cache.put("ab12", Observation(posterior, "kinect2", 3, ("too-little-face",), 0.25))
    found = cache.get("ab12")
    assert found is not None
    assert found.posterior is not None
    np.testing.assert_array_equal(found.posterior.mean, posterior.mean)
    np.testing.assert_array_equal(found.posterior.covariance, posterior.covariance)
    assert found.posterior.space == posterior.space
    assert (found.source, found.used, found.faults, found.seconds) == (
        "kinect2",
        3,
        ("too-little-face",),
        0.25,
    )


def test_an_appearance_comes_back_to_the_bit(tmp_path: Path) -> None:
    cache = ObservationCache.opened(tmp_path / "cache")
    vectors = np.eye(4)[:2]
    seen = Appearance.of(vectors, embedder="net", version="ab", light=Light.INFRARED)
    cache.put("ab12", Observation(None, "kinect2", 2, appearance=seen))
    found = cache.get("ab12")
    assert found is not None
    assert found.appearance is not None
    np.testing.assert_array_equal(found.appearance.mean, seen.mean)
    assert (found.appearance.network, found.appearance.light, found.appearance.count) == (
        seen.network,
        Light.INFRARED,
        2,
    )


def test_a_failure_is_kept_too_and_another_key_is_another_observation(tmp_path: Path) -> None:
    cache = ObservationCache.opened(tmp_path)
    failure = Observation(None, "generic", 0, ("no-face",), 0.1)
    cache.put("ab12", failure)
    assert cache.get("ab12") == failure
    assert cache.get("ab13") is None


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 half a file", b"nonsense"])
def test_a_damaged_file_is_as_if_it_were_not_there(tmp_path: Path, left: bytes) -> None:
    cache = ObservationCache.opened(tmp_path)
    cache.put("ab12", Observation(None, "generic", 0))
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(left)
    assert cache.get("ab12") is None


def test_half_a_posterior_is_not_one(tmp_path: Path) -> None:
    cache = ObservationCache.opened(tmp_path)
    cache.put("ab12", Observation(random_posterior(np.random.default_rng(0)), "generic", 1))
    (file,) = tmp_path.rglob("*.npz")
    content = file.read_bytes()
    for end in range(0, len(content), 97):
        file.write_bytes(content[:end])
        assert cache.get("ab12") is None


def test_nobody_else_may_look(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    cache = ObservationCache.opened(folder)
    cache.put("ab12", Observation(None, "generic", 0))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.rglob("*.npz")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "biometric" in (folder / "README").read_text()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValue, match="cache folder"):
        ObservationCache.opened(tmp_path / "file" / "cache")


def test_keys_tell_where_one_part_ends() -> None:
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key("a", "b") == content_key("a", "b")


def test_the_default_folder_is_the_users(tmp_path: Path) -> None:
    assert (
        default_cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "recon-service" / "evaluation"
    )
    assert default_cache_folder({}).is_relative_to(Path.home())

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import InvalidValue


def seen(seed: int, count: int = 3, **changes: object) -> Appearance:
    vectors = np.random.default_rng(seed).normal(size=(count, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    given: dict = {"embedder": "net", "version": "1", "light": Light.VISIBLE} | changes
    return Appearance.of(vectors, **given)


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 5))
def test_similarity_is_the_mean_cosine_over_all_pairs_and_symmetric(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    sides = [rng.normal(size=(count, 8)) for count in (n, m)]
    first, second = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    words = {"embedder": "net", "version": "1", "light": Light.VISIBLE}
    one, other = Appearance.of(first, **words), Appearance.of(second, **words)
    assert one.similarity(other) == pytest.approx((first @ second.T).mean())
    assert one.similarity(other) == pytest.approx(other.similarity(one))


def test_joining_is_as_if_all_pictures_had_come_at_once() -> None:
    parts = [seen(1, 2), seen(2, 1), seen(3, 4)]
    joined = Appearance.joined(parts)
    assert joined is not None
    assert joined.count == 7
    np.testing.assert_allclose(joined.mean, np.average([p.mean for p in parts], axis=0, weights=[2, 1, 4]))
    assert Appearance.joined([]) is None


@pytest.mark.parametrize("change", [{"embedder": "other"}, {"version": "2"}])
def test_vectors_of_different_networks_are_not_compared(change: dict[str, str]) -> None:
    assert seen(1).similarity(seen(1, **change)) is None
    with pytest.raises(InvalidValue):
        Appearance.joined([seen(1), seen(1, **change)])


def test_pictures_in_different_light_are_not_averaged() -> None:
    with pytest.raises(InvalidValue):
        Appearance.joined([seen(1), seen(1, light=Light.INFRARED)])


@pytest.mark.parametrize(
    ("mean", "count"), [(np.full(4, np.nan), 1), (np.ones(4), 1), (np.zeros(4), 0), (np.zeros((2, 2)), 1)]
)
def test_what_is_no_mean_of_unit_vectors_is_refused(mean: np.ndarray, count: int) -> None:
    with pytest.raises(InvalidValue):
        Appearance("net", "1", Light.VISIBLE, mean, count)


def test_a_value_cannot_be_changed_through_its_array() -> None:
    appearance = seen(1)
    with pytest.raises(ValueError, match="read-only"):
        appearance.mean[0] = 1.0

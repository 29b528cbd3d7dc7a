"""What must hold of every released calibration, for every pair of kinds in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.comparison.appearance import compare_appearance
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import BUILTIN, RELEASED, load_calibration
from recon_service.domain.appearance import Appearance, Light

CALIBRATIONS = {path.stem: load_calibration(path) for path in (RELEASED, BUILTIN)}
names = st.sampled_from(sorted(CALIBRATIONS))


def drawn(seed: int, modes: int, likeness: float) -> tuple[np.ndarray, np.ndarray]:
    """Two sides, more or less alike."""
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 4, modes))
    return a, likeness * a + (1 - likeness) * b


@settings(max_examples=10)
@given(names, st.integers(0, 1000), st.floats(0, 1))
def test_exchanging_the_roles_changes_no_score(name: str, seed: int, likeness: float) -> None:
    calibration = CALIBRATIONS[name]
    a, b = drawn(seed, calibration.modes, likeness)
    for first, second in calibration.pairs:
        there, _ = calibration.llr(first, second, a, b)
        back, _ = calibration.llr(second, first, b, a)
        np.testing.assert_allclose(there, back, atol=1e-6, err_msg=f"{first} against {second}")


@settings(max_examples=20)
@given(names, st.floats(-1e4, 1e4), st.floats(0, 1e3))
def test_a_higher_score_is_never_worth_less(name: str, score: float, more: float) -> None:
    calibration = CALIBRATIONS[name]
    for pair in calibration.pairs.values():
        assert pair.score_map(score + more) >= pair.score_map(score) - 1e-12
    for known in calibration.appearance.maps.values():
        assert known.score_map(score + more) >= known.score_map(score) - 1e-12


@pytest.mark.parametrize("name", sorted(CALIBRATIONS))
def test_appearances_may_change_roles(name: str) -> None:
    rng = np.random.default_rng(0)
    calibration: Calibration = CALIBRATIONS[name]
    for embedder, version, lights in calibration.appearance.maps:
        sides = []
        for light in (min(lights), max(lights)):
            vectors = rng.normal(size=(3, 512))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            sides.append(Appearance.of(vectors, embedder=embedder, version=version, light=Light(light)))
        there = compare_appearance(sides[0], sides[1], calibration.appearance)
        back = compare_appearance(sides[1], sides[0], calibration.appearance)
        assert there is not None
        assert there == back


@pytest.mark.parametrize("name", sorted(CALIBRATIONS))
def test_no_pair_is_surer_than_its_people_allow(name: str) -> None:
    calibration = CALIBRATIONS[name]
    for pair in calibration.pairs.values():
        people = pair.score_map.people
        assert pair.score_map.limit <= np.log(people * (people - 1) / 2) + 1e-6
    for known in calibration.appearance.maps.values():
        if not known.assumed:
            people = known.score_map.people
            assert known.score_map.limit <= np.log(people * (people - 1) / 2) + 1e-6
            assert known.measured is not None

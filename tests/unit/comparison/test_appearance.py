from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon_service.comparison.appearance import (
    compare_appearance,
    load_appearance_maps,
    with_appearance,
)
from recon_service.comparison.calibration_file import load_calibration
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import InvalidValue
from recon_service.domain.template import ComparisonScore

MAPS = load_calibration().appearance.over(load_appearance_maps())
SHAPE = ComparisonScore(1.5, "selfies-photometric/infrared", "kinect2", "test")


def seen(cosine: float = 1.0, light: Light = Light.INFRARED, **changes: str) -> Appearance:
    vector = np.zeros((1, 512))
    vector[0, :2] = cosine, np.sqrt(1 - cosine**2)
    words = {"embedder": "edgeface-xs", "version": "e67569ad96d023dc"} | changes
    return Appearance.of(vector, light=light, **words)


def test_the_ratio_rises_with_the_cosine_and_is_bounded() -> None:
    ratios = []
    for cosine in np.linspace(-1, 1, 21):
        found = compare_appearance(seen(), seen(float(cosine)), MAPS)
        assert found is not None
        assert not found.assumed
        ratios.append(found.llr)
    assert (np.diff(ratios) >= 0).all()
    assert ratios[0] < 0 < ratios[-1]
    assert np.abs(ratios).max() <= np.log(55) + 1e-3


def test_roles_may_be_swapped() -> None:
    one, other = seen(0.3, Light.VISIBLE), seen(0.8)
    assert compare_appearance(one, other, MAPS) == compare_appearance(other, one, MAPS)


@pytest.mark.parametrize("light", [Light.VISIBLE, Light.INFRARED])
def test_an_unmeasured_pair_of_lights_is_a_guess_that_cannot_decide(light: Light) -> None:
    for cosine in (-1.0, 0.0, 1.0):
        found = compare_appearance(seen(light=Light.VISIBLE), seen(cosine, light), MAPS)
        assert found is not None
        assert found.assumed
        assert abs(found.llr) < 1.1


@pytest.mark.parametrize("change", [{"embedder": "own"}, {"version": "0"}])
def test_an_unknown_network_gives_no_ratio(change: dict[str, str]) -> None:
    assert compare_appearance(seen(**change), seen(**change), MAPS) is None
    assert compare_appearance(seen(), seen(**change), MAPS) is None


def test_without_one_side_there_is_nothing_to_compare() -> None:
    assert compare_appearance(None, seen(), MAPS) is None
    assert compare_appearance(seen(), None, MAPS) is None


def test_the_fused_score_is_the_sum_of_its_parts() -> None:
    fused = with_appearance(SHAPE, compare_appearance(seen(), seen(0.9), MAPS))
    assert [kind for kind, _ in fused.parts] == ["shape", "appearance"]
    assert fused.llr == pytest.approx(sum(llr for _, llr in fused.parts))
    assert with_appearance(SHAPE, None) == replace(SHAPE, parts=(("shape", 1.5),))


@pytest.mark.parametrize("cosine", np.linspace(-1, 1, 9))
def test_a_guess_may_cost_a_match_and_never_makes_one(cosine: float) -> None:
    guess = compare_appearance(seen(), seen(float(cosine), Light.VISIBLE), MAPS)
    assert with_appearance(SHAPE, guess).llr <= SHAPE.llr


@pytest.mark.parametrize("content", ["", "name = 1", 'name = "x"\n[[map]]\nembedder = "a"', "]"])
def test_a_broken_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "maps.toml").write_text(content)
    with pytest.raises(InvalidValue, match="cannot be read"):
        load_appearance_maps(tmp_path / "maps.toml")

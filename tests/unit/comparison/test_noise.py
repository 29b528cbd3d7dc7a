from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon_service.comparison.noise import NoiseTable, SourceNoise, load_noise_table
from recon_service.domain.errors import InvalidValue


def written(folder: Path, text: str) -> Path:
    path = folder / "noise.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_released_table_knows_the_sources_that_the_service_has() -> None:
    noise = load_noise_table()
    assert noise.name
    for source in ("facemesh468", "kinect2", "simulated-stereo"):
        assert source in noise.sources
    assert noise.of("a camera nobody has heard of") is noise.sources["generic"]


def test_a_table_is_read_as_written(tmp_path: Path) -> None:
    entry = "inflation=1.5\nspread=0.25\ncenter=[1,2.5]"
    text = f'name = "n"\n[source.generic]\ninflation = 2\n[source.x]\n{entry}'
    noise = load_noise_table(written(tmp_path, text))
    assert noise.name == "n"
    assert noise.of("generic") == SourceNoise(2.0)
    assert (noise.of("x").inflation, noise.of("x").spread) == (1.5, 0.25)
    np.testing.assert_array_equal(noise.of("x").center, [1.0, 2.5])


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "",
        'name = "n"',
        'name = "n"\n[source.x]\ninflation = 1',
        'name = "n"\n[source.generic]\nspread = 1',
        'name = "n"\n[source.generic]\ninflation = "much"',
        'name = "n"\n[source.generic]\ninflation = 0',
        'name = "n"\n[source.generic]\ninflation = nan',
        'name = "n"\n[source.generic]\ninflation = 1\nspread = -1',
        'name = "n"\n[source.generic]\ninflation = 1\ncenter = [nan]',
        "[source.generic]\ninflation = 1",
        'name = "n"\nsource = 3',
    ],
)
def test_a_table_that_is_wrong_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidValue):
        load_noise_table(written(tmp_path, text))


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"none\.toml"):
        load_noise_table(tmp_path / "none.toml")


def test_a_table_needs_an_entry_for_what_it_does_not_know() -> None:
    with pytest.raises(InvalidValue, match="generic"):
        NoiseTable("n", {"x": SourceNoise(1.0)})

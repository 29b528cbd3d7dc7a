from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon_service.comparison.calibration import Calibration, PairCalibration
from recon_service.comparison.calibration_file import (
    BUILTIN,
    RELEASED,
    load_calibration,
    released_for,
    save_calibration,
)
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.measured import Measured
from recon_service.comparison.policies import DEFAULT_POLICY, activated
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.errors import InvalidValue, ModelMismatch
from tests.people import KIND, plain_calibration

PLAIN = plain_calibration().pairs[KIND, KIND]
MEASURED = Measured("d", 11, 55, 9, 90, 0.1, 0.2, 0.15, (0.0, 1.0), (3.0, 0.5), (0.1, 0.2))


def kind(text: str) -> EvidenceKind:
    return EvidenceKind.parse(text)


def made(*keys: tuple[str, str]) -> Calibration:
    pairs = {(kind(a), kind(b)): replace(PLAIN, measured=MEASURED) for a, b in keys}
    return Calibration(
        "c-1", "test/1", pairs, score_maps={"appearance/visible": ScoreMap(9.0, -3.0, 0.01, 40)}
    )


def test_the_nearest_number_of_captures_that_is_not_above_is_taken() -> None:
    calibration = made(*((f"p/visible/{a}", f"depth/k/{b}") for a in (1, 3, 5) for b in (1, 3)))
    for asked, given in (((4, 2), (3, 1)), ((5, 3), (5, 3)), ((9, 9), (5, 3)), ((2, 1), (1, 1))):
        found = calibration.of(kind(f"p/visible/{asked[0]}"), kind(f"depth/k/{asked[1]}"))
        assert tuple(k.captures for k in found.key) == given
        assert not found.general


def test_unknown_origins_get_the_general_pair_and_say_so() -> None:
    calibration = made(("p/visible/5", "depth/k/3"), ("p/generic/5", "depth/generic/3"))
    found = calibration.of(kind("p/visible/5"), kind("depth/other/3"))
    assert found.general
    assert found.key == (kind("p/generic/5"), kind("depth/generic/3"))
    back = calibration.of(kind("depth/other/3"), kind("p/visible/5"))
    assert back.general
    with pytest.raises(ModelMismatch, match="recon calibrate"):
        made(("p/visible/5", "depth/k/3")).of(kind("p/visible/5"), kind("depth/other/3"))


def test_pictures_seen_in_an_unknown_way_count_as_the_weakest() -> None:
    calibration = made(("facemesh468/generic/1", "depth/generic/1"))
    found = calibration.of(kind("some-network/visible/5"), kind("depth/k/3"))
    assert found.general


def test_the_file_gives_back_what_was_written_and_the_same_bytes_again(tmp_path: Path) -> None:
    calibration = replace(
        made(("p/visible/5", "depth/k/3"), ("depth/k/3", "depth/k/3")),
        accepts=("older",),
        provenance={"learned_from": ["some people"], "command": "recon calibrate"},
    )
    saved = save_calibration(calibration, tmp_path)
    found = load_calibration(tmp_path / "c-1.toml")
    assert found.identity == saved.identity == f"c-1@{saved.digest[:12]}"
    assert (found.space, found.accepts, found.provenance) == (
        calibration.space,
        calibration.accepts,
        calibration.provenance,
    )
    assert found.score_maps == calibration.score_maps
    for key, pair in calibration.pairs.items():
        again = found.pairs[key]
        assert (again.score_map, again.measured) == (pair.score_map, pair.measured)
        x, y = np.random.default_rng(0).standard_normal((2, 9, 6))
        np.testing.assert_allclose(again.score(x, y), pair.score(x, y), rtol=1e-4, atol=1e-5)
    assert save_calibration(calibration, tmp_path / "again").digest == saved.digest


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    save_calibration(made(("p/visible/5", "depth/k/3")), tmp_path)
    archive = tmp_path / "c-1.npz"
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(InvalidValue, match="SHA-256"):
        load_calibration(tmp_path / "c-1.toml")
    archive.unlink()
    with pytest.raises(InvalidValue, match=r"c-1\.toml"):
        load_calibration(tmp_path / "c-1.toml")
    with pytest.raises(InvalidValue):
        load_calibration(tmp_path / "none.toml")


def test_the_released_calibration_is_whole_small_and_holds_its_promise() -> None:
    released = load_calibration()
    assert RELEASED.with_suffix(".npz").stat().st_size < 2_000_000
    assert released.modes == 60
    known = [pair for pair in released.pairs.values() if pair.measured is not None]
    assert known
    for pair in known:
        assert pair.measured is not None
        assert pair.measured.cllr <= pair.measured.min_cllr + 0.15
    found = released.of(kind("selfies-photometric/visible/5"), kind("depth/never-seen/3"))
    assert found.general


def test_a_model_gets_the_calibration_that_was_learned_with_it(tmp_path: Path) -> None:
    assert released_for("ict-facekit-light") == RELEASED
    assert released_for("ict-facemesh468-builtin") == BUILTIN
    assert released_for("some-other-model") == RELEASED
    for name, model in (("released-1", "dense"), ("released-1-small", "small")):
        save_calibration(
            replace(made(("p/visible/5", "depth/k/3")), name=name, provenance={"model": model}), tmp_path
        )
    assert released_for("small", tmp_path).name == "released-1-small.toml"
    assert released_for("dense", tmp_path).name == released_for("other", tmp_path).name == "released-1.toml"


def test_pairs_of_two_spaces_or_twice_are_refused() -> None:
    other = PairCalibration(plain_calibration(4).pairs[KIND, KIND].score, ScoreMap(1.0, 0.0))
    a, b = kind("p/visible/5"), kind("depth/k/3")
    with pytest.raises(InvalidValue):
        Calibration("c", "s", {(a, b): PLAIN, (b, b): other})
    with pytest.raises(InvalidValue):
        Calibration("c", "s", {(a, b): PLAIN, (b, a): PLAIN})
    with pytest.raises(InvalidValue):
        Calibration("c@1", "s", {(a, b): PLAIN})


@pytest.mark.parametrize("wrong", [("", "k", 1), ("depth", "", 1), ("depth", "k", 0), ("a/b", "k", 1)])
def test_a_kind_needs_a_family_an_origin_and_captures(wrong: tuple[str, str, int]) -> None:
    with pytest.raises(InvalidValue):
        EvidenceKind(*wrong)


def test_every_model_has_a_calibration_of_its_own_that_supports_the_default_policy() -> None:
    for path, model in ((RELEASED, "ict-facekit-light"), (BUILTIN, "ict-facemesh468-builtin")):
        released = load_calibration(path)
        assert released.provenance["model"] == model
        assert activated(DEFAULT_POLICY, released).name == DEFAULT_POLICY
        excess = {
            str(k): p.measured.cllr - p.measured.min_cllr for k, p in released.pairs.items() if p.measured
        }
        assert max(excess.values()) <= 0.15, max(excess, key=lambda key: excess[key])

"""Maps of the appearance, learned with a calibration from simulated people who have both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon_service.comparison.appearance import AppearanceMap, AppearanceMaps
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import load_calibration, save_calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.score_map import ScoreMap
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.posterior import IdentityPosterior
from recon_service.evaluation.appearance_learning import SHRINKAGE, shrunk, with_looks
from recon_service.evaluation.appearance_scores import learned_appearance_map
from recon_service.evaluation.calibrating import learned_calibration
from recon_service.evaluation.comparisons import Observed
from recon_service.evaluation.material import Material, material

K, D, PEOPLE, EACH = 4, 24, 8, 3
INFRARED = ("net", "v1", frozenset({Light.INFRARED}))


def side(
    seed: int,
    source: str,
    *,
    sd: float,
    looks: bool = True,
    light: Light = Light.INFRARED,
    network: str = "net",
) -> Observed:
    """Every person ``EACH`` times, in as many groups, with shape and appearance."""
    rng, who = np.random.default_rng(seed), np.random.default_rng(99)
    names, posteriors, groups, seen = [], [], [], []
    for number in range(PEOPLE):
        identity, face = who.standard_normal(K), who.standard_normal(D)
        for take in range(EACH):
            information = np.eye(K) / sd**2
            value = information @ (identity + sd * rng.standard_normal(K))
            posteriors.append(IdentityPosterior.from_evidence("test/1", information, value))
            vector = face + 1.2 * rng.standard_normal(D)
            one = Appearance.of(
                vector[None] / np.linalg.norm(vector), embedder=network, version="v1", light=light
            )
            names.append(f"p{number}")
            groups.append(frozenset({f"pose {take}"}))
            seen.append(one if looks else None)
    kind = EvidenceKind.of(source, 1)
    return Observed.of(names, posteriors, [kind] * len(names), groups, seen)


def materials(**changes: object) -> list[Material]:
    depth, pictures = side(1, "depth/kinect2", sd=0.5), side(2, "selfies/infrared", sd=0.9, **changes)
    return [material("d", depth, depth, (1, 1)), material("d", pictures, depth, (1, 1))]


@pytest.fixture(scope="module")
def learned() -> Calibration:
    return learned_calibration(materials(), name="c", space="test/1")


def test_the_map_is_that_of_the_people_drawn_toward_no_evidence(learned: Calibration) -> None:
    (key,) = learned.appearance.maps
    assert key == INFRARED
    known = learned.appearance.maps[key]
    depth = materials()[0].first
    full = learned_appearance_map(depth, depth)
    assert known.score_map == shrunk(full)
    assert known.score_map.slope == pytest.approx(SHRINKAGE * full.slope)
    assert known.score_map.limit == full.limit <= np.log(PEOPLE * (PEOPLE - 1) / 2) + 1e-9
    assert not known.assumed
    assert known.measured is not None
    assert known.measured.people == PEOPLE


def test_shape_and_appearance_are_measured_together_for_every_pair(learned: Calibration) -> None:
    assert {one.kinds for one in learned.fused} == {m.kinds for m in materials()}
    for one in learned.fused:
        shape = learned.pairs[one.kinds].measured
        assert shape is not None
        assert (one.embedder, one.version, one.lights) == INFRARED
        assert (one.measured.people, one.measured.pairs) == (shape.people, shape.pairs)
        assert one.measured.impostor == shape.impostor
        assert one.measured.cllr < shape.cllr, "two kinds of evidence that err apart"


def test_without_appearance_the_maps_of_before_stay(learned: Calibration) -> None:
    bare = learned_calibration(
        materials(looks=False), name="c", space="test/1", appearance=learned.appearance
    )
    # One side alone gives no pair; depth against depth has both.
    assert {one.kinds for one in bare.fused} == {materials()[0].kinds}
    none = side(1, "depth/kinect2", sd=0.5, looks=False)
    kept = learned_calibration(
        [material("d", none, none, (1, 1))], name="c", space="test/1", appearance=learned.appearance
    )
    assert kept.appearance.maps == learned.appearance.maps
    assert kept.fused == ()


def test_lights_are_told_apart_and_networks_never_mixed() -> None:
    mixed = with_looks(materials(light=Light.VISIBLE)[1])
    assert mixed is not None
    assert mixed[0][2] == {Light.VISIBLE, Light.INFRARED}
    assert with_looks(materials(network="other")[1]) is None


def test_both_are_kept_in_the_file_under_its_digest(learned: Calibration, tmp_path: Path) -> None:
    saved = save_calibration(learned, tmp_path)
    read = load_calibration(tmp_path / "c.toml")
    assert read.appearance == learned.appearance
    assert read.fused == learned.fused
    steeper = AppearanceMap(ScoreMap(9.0, 0.0, 0.1, PEOPLE))
    other = replace(learned, appearance=AppearanceMaps("c", {INFRARED: steeper}))
    assert save_calibration(other, tmp_path).digest != saved.digest


def test_what_is_learned_takes_the_place_of_a_guess(learned: Calibration) -> None:
    guess = AppearanceMap(ScoreMap(1.0, 0.0, 0.3), assumed=True)
    visible = ("net", "v1", frozenset({Light.VISIBLE}))
    joined = learned.appearance.over(AppearanceMaps("guesses", {INFRARED: guess, visible: guess}))
    assert not joined.maps[INFRARED].assumed
    assert joined.maps[visible].assumed
    assert AppearanceMaps.none().over(joined) is joined

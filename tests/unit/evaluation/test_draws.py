from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from recon_service.evaluation.comparisons import comparisons
from recon_service.evaluation.dataset import Item, Medium
from recon_service.evaluation.draws import GUIDED, MAX_EXHAUSTIVE, drawn
from recon_service.evaluation.rows import Row
from tests.people import Listed, enrolled_and_visiting, one_session

PEOPLE = [one_session(f"s{n:02d}") for n in range(4)]
VISITORS = [
    enrolled_and_visiting(f"p{n}", poses=("left", "front", "right"), visits=2, frames=4) for n in range(3)
]


def row(name: str) -> Row:
    return Row.parse(name)


def test_the_pictures_of_an_enrollment_are_of_different_poses() -> None:
    one = drawn(row("image5-depth3"), PEOPLE, draws=12, seed=0)
    assert len(one.references) == len(one.probes) == 48
    for sample in (*one.references, *one.probes):
        assert len({item.pose for item in sample.items}) == len(sample.items)
        assert {item.medium for item in sample.items} == {
            Medium.IMAGE if sample.kind == "image" else Medium.DEPTH
        }


def test_a_strengthened_reference_has_pictures_and_a_visit_and_the_probe_is_another() -> None:
    for people, frames in ((PEOPLE, 3), (VISITORS, 4)):
        one = drawn(row(f"strengthened5-depth{frames}"), people, draws=6, seed=0)
        assert one.references
        assert not one.same
        for reference in one.references:
            media = Counter(item.medium for item in reference.items)
            assert media == {Medium.IMAGE: 5, Medium.DEPTH: frames}
            mine = [probe for probe in one.probes if probe.subject == reference.subject]
            assert any(probe.groups.isdisjoint(reference.groups) for probe in mine)
        pairs = comparisons(one)
        for a, b in zip(pairs.reference, pairs.probe, strict=True):
            assert one.references[a].groups.isdisjoint(one.probes[b].groups)


def test_rows_of_one_draw_are_nested() -> None:
    one, three, five = (drawn(row(f"image{n}-depth3"), PEOPLE, draws=5, seed=3) for n in (1, 3, 5))
    assert one.probes == three.probes == five.probes
    for fewer, more in ((one, three), (three, five)):
        for sample in more.references:
            assert any(set(other.items) < set(sample.items) for other in fewer.references)


def test_draws_do_not_depend_on_how_many_people_and_draws_there_are() -> None:
    few = drawn(row("image3-depth3"), PEOPLE[:2], draws=3, seed=1)
    many = drawn(row("image3-depth3"), PEOPLE, draws=7, seed=1)
    assert set(few.references) < set(many.references)
    assert set(few.probes) < set(many.probes)
    assert set(drawn(row("image3-depth3"), PEOPLE, draws=7, seed=2).references) != set(many.references)


def test_no_comparison_shares_a_pose_and_every_draw_compares_all_people() -> None:
    one = drawn(row("image5-depth3"), PEOPLE, draws=6, seed=0)
    pairs = comparisons(one)
    counts: Counter[tuple[str, str]] = Counter()
    for a, b in zip(pairs.reference, pairs.probe, strict=True):
        reference, probe = one.references[a], one.probes[b]
        assert reference.groups.isdisjoint(probe.groups)
        counts[reference.subject, probe.subject] += 1
    # The order of the poses is the same for all people: 6 draws give at least 6 comparisons of any two.
    assert min(counts.values()) >= 6
    assert len(counts) == 16


def test_single_items_are_all_compared_once() -> None:
    one = drawn(row("depth1-depth1"), PEOPLE, draws=1, seed=0)
    assert one.same
    pairs = comparisons(one)
    # 54 frames per person in 9 poses: 54 · 48 / 2 within a person, 54 · 48 between two.
    assert len(one.references) == 4 * 54
    assert len(pairs) == 4 * 54 * 24 + 6 * 54 * 48
    assert (pairs.reference < pairs.probe).all()


def test_a_visit_stays_a_visit() -> None:
    one = drawn(row("image3-depth3"), VISITORS, draws=9, seed=0)
    for sample in one.probes:
        assert len({item.visit for item in sample.items}) == 1
    for sample in one.references:
        assert {item.pose for item in sample.items} == {"left", "front", "right"}
    assert len(comparisons(one)) == len(one.references) * len(one.probes)


def test_depth_against_depth_takes_two_visits() -> None:
    one = drawn(row("depth3-depth3"), VISITORS, draws=9, seed=0)
    pairs = comparisons(one)
    assert len(pairs) > 0
    for a, b in zip(pairs.reference, pairs.probe, strict=True):
        visits = [{item.visit for item in side.items} for side in (one.references[a], one.probes[b])]
        assert visits[0].isdisjoint(visits[1])


@pytest.mark.parametrize("name", ["depth5-image1", "image9-depth1", "depth3-depth2"])
def test_what_a_person_lacks_is_not_drawn(name: str) -> None:
    alone = [enrolled_and_visiting("p0", poses=("front",), visits=1, frames=4)]
    one = drawn(row(name), alone, draws=5, seed=0)
    assert one.references == one.probes == ()
    assert len(comparisons(one)) == 0
    assert comparisons(one).reference.dtype == np.int64


def test_single_pictures_of_many_guided_sessions_are_still_compared() -> None:
    """Too many for all against all: each person's first ones."""
    items = tuple(Item(Medium.IMAGE, f"{n}", "selfies", f"selfie {n}", rank=n) for n in range(15))
    people = [Listed(f"p{number}", items) for number in range(100)]
    found = drawn(Row.parse("image1-image1"), people, draws=4, seed=0)
    assert found.same
    assert len(found.references) == 100 * GUIDED <= MAX_EXHAUSTIVE
    assert {s.items[0].rank for s in found.references} == set(range(GUIDED))

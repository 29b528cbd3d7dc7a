"""Which pictures are matched with each other."""

from __future__ import annotations

from itertools import permutations

from recon_service.matching import pairs_to_match

TURNS = [(1.0, 3.0), (-28.0, 0.0), (25.0, 2.0), (-12.0, -1.0), (4.0, 18.0)]


def test_the_most_frontal_picture_is_matched_with_all_others() -> None:
    assert pairs_to_match(TURNS, neighbors=False) == [(0, 1), (0, 3), (0, 4), (0, 2)]


def test_neighbors_in_yaw_are_matched_too_but_never_twice() -> None:
    pairs = pairs_to_match(TURNS)
    assert pairs[4:] == [(1, 3), (4, 2)]
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)


def test_the_choice_does_not_depend_on_the_order() -> None:
    wanted = {frozenset((TURNS[a], TURNS[b])) for a, b in pairs_to_match(TURNS)}
    for order in permutations(range(5)):
        turns = [TURNS[k] for k in order]
        assert {frozenset((turns[a], turns[b])) for a, b in pairs_to_match(turns)} == wanted


def test_two_pictures_are_one_pair_and_one_is_none() -> None:
    assert pairs_to_match(TURNS[:2]) == [(0, 1)]
    assert pairs_to_match(TURNS[:1]) == []

"""The matrix that turns the vectors."""

from __future__ import annotations

import numpy as np

from recon_service.search.pgvector.turned_spaces import secret_turn


def test_the_turn_is_orthogonal_and_the_secret_is_all_of_it() -> None:
    turn = secret_turn("a secret", 7)
    np.testing.assert_allclose(turn @ turn.T, np.eye(7), atol=1e-12)
    np.testing.assert_array_equal(turn, secret_turn("a secret", 7))
    assert np.abs(turn - secret_turn("another", 7)).max() > 0.1

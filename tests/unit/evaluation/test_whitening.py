from __future__ import annotations

import numpy as np
import pytest

from recon_service.evaluation import whitening
from recon_service.evaluation.whitening import Whitening, cosine


def captures(rng: np.random.Generator, people: int = 12, each: int = 9, modes: int = 5) -> list[np.ndarray]:
    mixing = rng.standard_normal((modes, modes))
    return [
        rng.standard_normal(modes) * 2 + rng.standard_normal((each, modes)) @ mixing for _ in range(people)
    ]


def within(people: list[np.ndarray]) -> np.ndarray:
    deviations = np.concatenate([p - p.mean(axis=0) for p in people])
    return deviations.T @ deviations / (len(deviations) - len(people))


def test_what_was_learned_on_has_white_variation_within_people(monkeypatch: pytest.MonkeyPatch) -> None:
    people = captures(np.random.default_rng(0))
    monkeypatch.setattr(whitening, "SHRINKAGE", 0.0)
    learned = Whitening.learned(people)
    np.testing.assert_allclose(within([learned(p) for p in people]), np.eye(5), atol=1e-9)


def test_shrinkage_keeps_the_scale_and_leaves_the_rest_nearly_white() -> None:
    people = captures(np.random.default_rng(1))
    variance = within([Whitening.learned(people)(p) for p in people])
    values = np.linalg.eigvalsh(variance)
    assert values.max() <= 1 / (1 - whitening.SHRINKAGE) + 1e-9
    assert values.min() > 0


def test_people_are_centered() -> None:
    people = captures(np.random.default_rng(2))
    learned = Whitening.learned(people)
    np.testing.assert_allclose(np.mean([learned(p).mean(axis=0) for p in people], axis=0), 0.0, atol=1e-9)


def test_cosines() -> None:
    a, b = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), np.array([[3.0, 3.0], [-1.0, 0.0]])
    root = np.sqrt(0.5)
    np.testing.assert_allclose(cosine(a, b), [[root, -1.0], [root, 0.0], [0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(cosine(a, b), cosine(b, a).T)

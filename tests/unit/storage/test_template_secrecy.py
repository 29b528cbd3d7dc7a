"""A stored template tells nothing without its key, not even which two are of one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.errors import StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Template
from recon_service.formats.template_format import BinaryTemplateFormat
from recon_service.storage.vault import MasterKey, SubjectVault

FORMAT = BinaryTemplateFormat()
VAULT = SubjectVault(MasterKey(bytes(range(32))))


def template(seed: int) -> Template:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(3, 512))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    seen = Appearance.of(vectors, embedder="edgeface-xs", version="e67569ad96d023dc", light=Light.VISIBLE)
    posterior = IdentityPosterior("space", rng.normal(size=20), np.eye(20))
    moment = datetime(2026, 3, 4, tzinfo=UTC)
    return Template("t", "s", posterior, "source", "model", "calibration", (), 80.0, moment, appearance=seen)


def sealed(subject: str, kept: Template) -> bytes:
    return VAULT.cipher(VAULT.new_key(subject)).seal(FORMAT.write(kept), place="templates", row="t")


def test_nothing_of_a_template_is_in_what_is_stored() -> None:
    kept = template(0)
    stored = sealed("ada", kept)
    assert kept.appearance is not None
    for numbers in (kept.appearance.mean, kept.posterior.mean):
        for value in numbers:
            assert np.float64(value).tobytes() not in stored
    assert b"edgeface" not in stored


def test_two_templates_of_one_person_are_as_unlike_as_those_of_two() -> None:
    """Share of equal bytes: 1/256 for bytes that have nothing to do with each other."""
    one, again, other = sealed("ada", template(0)), sealed("eve", template(0)), sealed("bob", template(1))
    lengths = {len(one), len(again), len(other)}
    assert len(lengths) == 1
    equal = [np.mean(np.frombuffer(one, np.uint8) == np.frombuffer(x, np.uint8)) for x in (again, other)]
    for share in equal:
        assert share < 0.02


def test_another_key_opens_nothing() -> None:
    stored = sealed("ada", replace(template(0), subject_id="ada"))
    with pytest.raises(StorageFault):
        VAULT.cipher(VAULT.new_key("ada")).open(stored, place="templates", row="t")


def test_no_statistic_of_what_is_stored_tells_mated_templates_from_others() -> None:
    """Twenty people stored twice under keys of their own, and once more under the same key: shares of equal
    bytes between mated and non-mated contents differ by chance alone, and every byte value is as frequent.
    """
    people = range(20)
    keys = [VAULT.new_key(f"s{number}") for number in people]

    def kept(number: int, key_of: int) -> np.ndarray:
        content = FORMAT.write(replace(template(number), subject_id="s"))
        return np.frombuffer(VAULT.cipher(keys[key_of]).seal(content, place="templates", row="t"), np.uint8)

    first, again = [kept(n, n) for n in people], [kept(n, n) for n in people]
    other_key = [kept(n, (n + 1) % len(keys)) for n in people]
    size = len(first[0])
    # What every sealed content begins with (format and key) is no secret and the same for all.
    header = next(k for k in range(size) if len({one[k] for one in (*first, *other_key)}) > 1)
    equal = {
        "same key": [np.mean(a[header:] == b[header:]) for a, b in zip(first, again, strict=True)],
        "another key": [np.mean(a[header:] == b[header:]) for a, b in zip(first, other_key, strict=True)],
        "others": [np.mean(first[a][header:] == again[b][header:]) for a in people for b in people if a != b],
    }
    spread = np.sqrt(1 / 256 * 255 / 256 / (size - header))
    for shares in equal.values():
        assert abs(np.mean(shares) - 1 / 256) < 5 * spread / np.sqrt(len(shares))
    counts = np.bincount(np.concatenate([one[header:] for one in first]), minlength=256)
    expected = counts.sum() / 256
    # Chi squared with 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * 22.6

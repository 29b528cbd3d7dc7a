"""Bundles: only what was sealed for this kiosk by this service is opened, in its time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.application.records.edge import BundleContents
from recon_service.edge import (
    BundleAltered,
    BundleExpired,
    BundleNotForThisKiosk,
    BundleRolledBack,
    ClockSetBack,
    KioskKeys,
    write_bundle,
)
from recon_service.edge.state import EdgeState
from recon_service.formats.signing import Ed25519Signer
from tests.unit.edge.offline_site import KEYS, NOW, POSTERIOR, SERVICE, TERMS, head, opened, state_in


def test_what_was_sealed_is_opened(contents: BundleContents, tmp_path: Path) -> None:
    content = write_bundle(head(), contents, signer=SERVICE)
    bundle = opened(content, state_in(tmp_path))
    assert bundle.head == head()
    assert bundle.terms == TERMS
    np.testing.assert_array_equal(bundle.templates["ada"].posterior.mean, POSTERIOR.mean)
    assert bundle.templates["bob"] is not bundle.templates["ada"]
    assert bundle.calibration.name == "small"
    assert b"ada" not in content, "nobody else reads whose templates they are"


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_bit_can_be_changed(
    tmp_path_factory: pytest.TempPathFactory, contents: BundleContents, place: float, bit: int
) -> None:
    content = bytearray(write_bundle(head(), contents, signer=SERVICE))
    content[int(place * len(content))] ^= 1 << bit
    with pytest.raises(BundleAltered):
        opened(bytes(content), state_in(tmp_path_factory.mktemp("state")))


@pytest.mark.parametrize("cut", [0, 5, 20, 400, -1])
def test_what_is_cut_off_or_no_bundle_is_refused(contents: BundleContents, tmp_path: Path, cut: int) -> None:
    content = write_bundle(head(), contents, signer=SERVICE)
    for broken in (content[:cut], b"\x00" * 100, content + b"x", content[:13] + b"\xff" * 200):
        with pytest.raises(BundleAltered):
            opened(broken, state_in(tmp_path / "s"))
        (tmp_path / "s" / "state").unlink()


def test_another_service_and_another_kiosk_are_refused(contents: BundleContents, tmp_path: Path) -> None:
    state = state_in(tmp_path)
    with pytest.raises(BundleAltered, match="signed"):
        opened(write_bundle(head(), contents, signer=Ed25519Signer(b"x" * 32)), state)
    other = KioskKeys.from_secret(b"o" * 64)
    with pytest.raises(BundleNotForThisKiosk):
        opened(write_bundle(head(), contents, signer=SERVICE), state, keys=other)
    opened(write_bundle(head(), contents, signer=SERVICE), state)
    with pytest.raises(BundleNotForThisKiosk):
        opened(write_bundle(head(site="vault", serial=2), contents, signer=SERVICE), state)


def test_time_goes_one_way(contents: BundleContents, tmp_path: Path) -> None:
    """Expiry, a clock before the bundle, a clock that is set back to make an expired bundle young again."""
    content = write_bundle(head(), contents, signer=SERVICE)
    state = state_in(tmp_path)
    with pytest.raises(ClockSetBack):
        opened(content, state, now=NOW - timedelta(hours=1))
    opened(content, state, now=NOW + timedelta(hours=11))
    with pytest.raises(BundleExpired):
        opened(content, state, now=NOW + timedelta(hours=12))
    again = EdgeState.load(tmp_path / "state", KEYS)
    with pytest.raises(ClockSetBack):
        opened(content, again, now=NOW + timedelta(hours=1))


def test_an_older_bundle_does_not_come_back(contents: BundleContents, tmp_path: Path) -> None:
    state = state_in(tmp_path)
    old = write_bundle(head(), contents, signer=SERVICE)
    opened(write_bundle(head(bundle_id="bnd_2", serial=2), contents, signer=SERVICE), state)
    again = EdgeState.load(tmp_path / "state", KEYS)
    with pytest.raises(BundleRolledBack):
        opened(old, again)
    with pytest.raises(BundleRolledBack):
        opened(write_bundle(head(bundle_id="bnd_x", serial=2), contents, signer=SERVICE), again)

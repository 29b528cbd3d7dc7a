from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.errors import StorageFault
from recon_service.storage.vault import MasterKey, SubjectVault

VAULT = SubjectVault(MasterKey(bytes(range(32))))
KEY = VAULT.new_key("ada")
CIPHER = VAULT.cipher(KEY)


@settings(max_examples=30)
@given(content=st.binary(max_size=200))
def test_opens_what_it_sealed_and_never_seals_twice_alike(content: bytes) -> None:
    one, two = (CIPHER.seal(content, place="templates", row="t1") for _ in range(2))
    assert CIPHER.open(one, place="templates", row="t1") == content
    assert one != two
    assert len(content) < 8 or content not in one


@settings(max_examples=60)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_any_altered_byte_is_noticed(position: int, flip: int) -> None:
    sealed = bytearray(CIPHER.seal(b"a template" * 10, place="templates", row="t1"))
    sealed[position % len(sealed)] ^= flip
    with pytest.raises(StorageFault, match="does not authenticate") as caught:
        CIPHER.open(bytes(sealed), place="templates", row="t1")
    assert "template" not in caught.value.detail
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("length", range(30))
def test_truncated_values_are_noticed(length: int) -> None:
    sealed = CIPHER.seal(b"x", place="templates", row="t1")
    with pytest.raises(StorageFault):
        CIPHER.open(sealed[: min(length, len(sealed) - 1)], place="templates", row="t1")


def test_a_value_opens_only_in_its_place() -> None:
    sealed = CIPHER.seal(b"x", place="templates", row="t1")
    for place, row in (("templates", "t2"), ("selfies", "t1"), ("template", "st1")):
        with pytest.raises(StorageFault):
            CIPHER.open(sealed, place=place, row=row)


def test_another_subjects_key_does_not_open_it() -> None:
    sealed = CIPHER.seal(b"x", place="templates", row="t1")
    with pytest.raises(StorageFault):
        VAULT.cipher(VAULT.new_key("bob")).open(sealed, place="templates", row="t1")


def test_a_wrapped_key_moved_to_another_subject_does_not_unwrap() -> None:
    for moved in (dataclasses.replace(KEY, subject_id="bob"), dataclasses.replace(KEY, key_id="key_other")):
        with pytest.raises(StorageFault, match="does not authenticate"):
            VAULT.cipher(moved)


def test_another_master_key_says_so() -> None:
    with pytest.raises(StorageFault, match="another master key"):
        SubjectVault(MasterKey(bytes(32))).cipher(KEY)


def test_digests_depend_on_purpose_key_and_the_borders_of_the_parts() -> None:
    digests = {
        VAULT.digest("subject", b"ab", b"c"),
        VAULT.digest("subject", b"a", b"bc"),
        VAULT.digest("log", b"ab", b"c"),
        SubjectVault(MasterKey(bytes(32))).digest("subject", b"ab", b"c"),
    }
    assert len(digests) == 4
    assert VAULT.digest("subject", b"ab", b"c") in digests


def test_keys_do_not_show_in_representations() -> None:
    assert "wrapped=" not in repr(KEY)
    assert repr(MasterKey(bytes(32))) == "MasterKey()"

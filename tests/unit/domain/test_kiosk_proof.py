from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_service.domain.kiosk_proof import capture_proof, capture_statement

NONCE = "00112233445566778899aabbccddeeff" * 2
FRAMES = st.lists(st.binary(max_size=20), max_size=4)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_statement_is_what_the_manual_says() -> None:
    camera = '{"fx": 1}'
    statement = capture_statement(
        session_id="ks_1", subject_id="ada", depth=[b"d1", b"d2"], images=[b"i"], intrinsics=camera
    )
    assert statement.decode().splitlines(keepends=True) == [
        "recon-kiosk-1\n",
        "session ks_1\n",
        "subject ada\n",
        f"depth {digest(b'd1')}\n",
        f"depth {digest(b'd2')}\n",
        f"image {digest(b'i')}\n",
        f"intrinsics {digest(camera.encode())}\n",
    ]
    expected = hmac.digest(bytes.fromhex(NONCE), statement, "sha256").hex()
    assert capture_proof(NONCE, statement) == expected


@given(
    one=st.tuples(FRAMES, FRAMES, st.text(max_size=9)), other=st.tuples(FRAMES, FRAMES, st.text(max_size=9))
)
def test_different_captures_have_different_statements(
    one: tuple[list[bytes], list[bytes], str], other: tuple[list[bytes], list[bytes], str]
) -> None:
    made = [
        capture_statement(session_id="ks_1", subject_id="ada", depth=d, images=i, intrinsics=c)
        for d, i, c in (one, other)
    ]
    assert (made[0] == made[1]) == (one == other)


@pytest.mark.parametrize("nonce", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64])
def test_a_nonce_is_64_lower_case_digits(nonce: str) -> None:
    with pytest.raises(ValueError, match="64"):
        capture_proof(nonce, b"")

"""Bodies as they come over the wire: cut anywhere, too large, malformed, slow."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Sequence

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.api.uploads import MAX_FIELD_BYTES, Form, FormLimits, read_form
from recon_service.application.errors import PayloadTooLarge, UnsupportedMedia, UploadTooSlow
from recon_service.domain.errors import CallerError, InvalidValue

LIMITS = FormLimits(files={"selfies": 1000}, fields=frozenset({"consent_id"}), total_bytes=3000, seconds=0.2)
BOUNDARY = "frontier"


def body(*parts: tuple[str, str | None, bytes]) -> bytes:
    out = b""
    for name, filename, content in parts:
        disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename else "")
        out += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return out + f"--{BOUNDARY}--\r\n".encode()


def read(
    chunks: Sequence[bytes],
    *,
    content_type: str = f"multipart/form-data; boundary={BOUNDARY}",
    headers: Sequence[tuple[bytes, bytes]] = (),
    pause: float = 0.0,
) -> Form:
    pending: Iterator[bytes] = iter(chunks)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        chunk = next(pending, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", content_type.encode()), *headers],
    }
    return asyncio.run(read_form(Request(scope, receive), LIMITS))


@settings(max_examples=40)
@given(
    files=st.lists(st.binary(min_size=1, max_size=200), max_size=4),
    consent=st.text(st.characters(codec="utf-8"), max_size=30),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
)
def test_the_parts_are_the_same_however_the_body_is_cut(
    files: list[bytes], consent: str, cuts: list[int]
) -> None:
    whole = body(*[("selfies", "x.jpg", f) for f in files], ("consent_id", None, consent.encode()))
    places = sorted({0, len(whole), *(c % len(whole) for c in cuts)})
    form = read([whole[a:b] for a, b in itertools.pairwise(places)])
    assert form.files.get("selfies", []) == files
    assert form.fields == {"consent_id": consent}


def test_a_file_that_is_too_large_is_refused_whatever_its_header_says() -> None:
    for headers in ([], [(b"content-length", b"10")]):
        with pytest.raises(PayloadTooLarge, match="selfies"):
            read([body(("selfies", "x", b"a" * 1001))], headers=headers)


def test_a_body_that_is_too_large_is_refused() -> None:
    parts = [("selfies", "x", b"a" * 900)] * 4
    with pytest.raises(PayloadTooLarge, match="3000"):
        read([body(*parts)])
    with pytest.raises(PayloadTooLarge):
        read([], headers=[(b"content-length", b"99999999999")])


def test_an_endless_body_is_not_read_to_its_end() -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield body(("selfies", "x", b"a" * 1001))
        while True:
            sent += 1_000_000
            yield b"a" * 1_000_000

    with pytest.raises(PayloadTooLarge):
        read(endless())  # type: ignore[arg-type]
    assert sent < 30_000_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"--frontier",
        b"no form at all",
        body(("selfies", "x", b"a"))[:-10],
        body(("selfies", "x", b"a")).replace(b"--frontier--", b"--frontier"),
        b"--frontier\r\nContent-Disposition: form-data\r\n\r\nx\r\n--frontier--\r\n",
        b"--frontier\r\nX: " + b"y" * 10_000 + b"\r\n\r\nx\r\n--frontier--\r\n",
        body(("unknown", None, b"x")),
        body(("consent_id", None, b"x"), ("consent_id", None, b"y")),
        body(("consent_id", None, b"\xff\xfe")),
    ],
)
def test_malformed_bodies_are_the_callers_error(content: bytes) -> None:
    with pytest.raises(CallerError):
        read([content])


@settings(max_examples=100)
@given(content=st.binary(max_size=200), position=st.integers(0, 200))
def test_damaged_bodies_are_read_or_refused_and_never_break(content: bytes, position: int) -> None:
    whole = body(("selfies", "x", b"abc"), ("consent_id", None, b"c"))
    with contextlib.suppress(CallerError):
        read([whole[:position] + content + whole[position:]])


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=frontier"]
)
def test_other_media_are_unsupported(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        read([body(("selfies", "x", b"a"))], content_type=content_type)


def test_a_slow_upload_is_given_up() -> None:
    with pytest.raises(UploadTooSlow):
        read([b"x"] * 100, pause=0.05)


def test_too_many_parts_and_too_long_fields() -> None:
    with pytest.raises(PayloadTooLarge):
        read([body(*[("selfies", "x", b"")] * 41)])
    with pytest.raises(PayloadTooLarge):
        read([body(("consent_id", None, b"a" * (MAX_FIELD_BYTES + 1)))])


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidValue, match="consent_id"):
        read([body(("selfies", "x", b"a"))]).require("consent_id")

"""Multipart bodies, read into memory under limits while they arrive.

The framework's own reader writes larger parts to temporary files: selfies have no business in /tmp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from recon_service.api.upload_memory import share_of
from recon_service.application.errors import PayloadTooLarge, UnsupportedMedia, UploadTooSlow
from recon_service.domain.errors import CallerError, InvalidValue

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 40
MAX_FIELD_BYTES = 10_000
MAX_HEADER_BYTES = 4_000
DRAIN_BYTES = 16_000_000
"""So much of a body that is too large is still read and dropped: a client that sends it all hears why it
was refused.
"""


@dataclass(frozen=True, slots=True)
class FormLimits:
    """files: bytes that one file part of each name may have. fields: names of text parts. total_bytes: of
    the body.
    """

    files: Mapping[str, int]
    fields: frozenset[str]
    total_bytes: int
    seconds: float


@dataclass(slots=True)
class Form:
    """files and fields by name, in the order they came."""

    files: dict[str, list[bytes]] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def require(self, name: str) -> str:
        """A text field. Raises InvalidValue when it is missing."""
        if name not in self.fields:
            raise InvalidValue(
                f"the part {name!r} is missing", next_step="See /docs for the parts of this request."
            )
        return self.fields[name]


async def read_form(request: Request, limits: FormLimits) -> Form:
    """The parts of a multipart/form-data body.

    Raises UnsupportedMedia, CallerError for a malformed body, InvalidValue for unknown or repeated parts,
    PayloadTooLarge, UploadTooSlow, Overloaded.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:
        raise UnsupportedMedia(
            "the body must be multipart/form-data", next_step="Send the files as form parts."
        )
    try:
        async with asyncio.timeout(limits.seconds):
            return await _read(request, boundary, limits)
    except TimeoutError:
        raise UploadTooSlow(
            f"the request did not arrive within {limits.seconds:g} s",
            next_step="Send smaller files, or try again.",
        ) from None


async def _read(request: Request, boundary: bytes, limits: FormLimits) -> Form:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.total_bytes + DRAIN_BYTES:
        raise _too_large(limits.total_bytes)
    collector = _Collector(limits)
    parser = MultipartParser(boundary, collector.callbacks())
    received, refusal, share = 0, None, share_of(request)
    async for chunk in request.stream():
        received += len(chunk)
        if refusal is None:
            try:
                if received > limits.total_bytes:
                    raise _too_large(limits.total_bytes)
                share.take(len(chunk))
                parser.write(chunk)
            except CallerError as problem:
                refusal, collector = problem, _Collector(limits)
            except FormParserError:
                refusal, collector = _malformed(), _Collector(limits)
        elif received > limits.total_bytes + DRAIN_BYTES:
            break
    if refusal is not None:
        raise refusal
    try:
        parser.finalize()
    except FormParserError:
        raise _malformed() from None
    if not collector.ended:
        raise _malformed()
    return collector.form


class _Collector:
    """Listens to the parser and keeps the parts."""

    def __init__(self, limits: FormLimits) -> None:
        self.form = Form()
        self.ended = False
        self._limits = limits
        self._parts = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._name = ""
        self._content = bytearray()
        self._limit = 0

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_text,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._parts += 1
        self._name, self._content = "", bytearray()
        if self._parts > MAX_PARTS:
            raise PayloadTooLarge(f"a request may have {MAX_PARTS} parts", next_step="Send fewer files.")

    def _header_field(self, content: bytes, start: int, end: int) -> None:
        self._header_name += content[start:end]
        self._check_header()

    def _header_text(self, content: bytes, start: int, end: int) -> None:
        self._header_value += content[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._header_name) + len(self._header_value) > MAX_HEADER_BYTES:
            raise _malformed()

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._header_name, self._header_value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        if self._name in self._limits.files:
            self._limit = self._limits.files[self._name]
        elif self._name in self._limits.fields:
            self._limit = MAX_FIELD_BYTES
            if self._name in self.form.fields:
                raise InvalidValue(f"the part {self._name!r} came twice", next_step="Send it once.")
        else:
            known = ", ".join(sorted({*self._limits.files, *self._limits.fields}))
            raise InvalidValue(
                "the request has a part that is not known here", next_step=f"Known parts: {known}."
            )

    def _part_data(self, content: bytes, start: int, end: int) -> None:
        if len(self._content) + end - start > self._limit:
            raise PayloadTooLarge(
                f"the part {self._name!r} is larger than {self._limit} bytes",
                next_step="Send a smaller file.",
            )
        self._content += content[start:end]

    def _part_end(self) -> None:
        if self._name in self._limits.files:
            self.form.files.setdefault(self._name, []).append(bytes(self._content))
        else:
            try:
                self.form.fields[self._name] = self._content.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidValue(f"the part {self._name!r} is not UTF-8 text") from None
        self._content = bytearray()

    def _end(self) -> None:
        self.ended = True


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the request is larger than {limit} bytes", next_step="Send fewer or smaller files."
    )


def _malformed() -> CallerError:
    return CallerError(
        "the multipart body is malformed or incomplete", next_step="Let an HTTP library build the body."
    )


async def read_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """A body that is one file. Raises PayloadTooLarge, UploadTooSlow, Overloaded, InvalidValue when it is
    empty.
    """
    content, share = bytearray(), share_of(request)
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(content) + len(chunk) > limit:
                    raise _too_large(limit)
                share.take(len(chunk))
                content += chunk
    except TimeoutError:
        raise UploadTooSlow(
            f"the request did not arrive within {seconds:g} s", next_step="Send a smaller file, or try again."
        ) from None
    if not content:
        raise InvalidValue("the body is empty", next_step="Send the bytes of the picture file.")
    return bytes(content)

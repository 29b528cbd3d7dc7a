"""HTTP download that goes on where it broke off."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx

CHUNK = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d*/(\d+|\*)")
# A busy or restarting server; every other status from 400 on is final.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class TransferFailed(Exception):
    """This source did not give the whole file; the reason is a short sentence."""


def http_client() -> httpx.Client:
    """A client with the timeouts that a large file over a slow line needs."""
    return httpx.Client(follow_redirects=True, timeout=httpx.Timeout(30.0, connect=15.0))


def download(
    client: httpx.Client,
    url: str,
    part: Path,
    *,
    size: int,
    report: Callable[[int], None],
    attempts: int = 4,
    pause: float = 0.5,
) -> None:
    """Fill `part` up to `size` bytes, from where an earlier try broke off if the server can.

    A server without ranges sends everything again, and the part starts over. Gives up after `attempts` tries
    in a row that brought no new byte.

    Raises
    ------
    TransferFailed
        The server refuses, sends more than `size`, or keeps breaking off.
    OSError
        Writing failed.
    """
    idle = 0
    furthest = 0
    reason = ""
    while idle < attempts:
        if idle:
            time.sleep(pause * 2 ** (idle - 1))
        try:
            _one_try(client, url, part, size=size, report=report)
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
        done = part.stat().st_size if part.exists() else 0
        if done == size:
            return
        # A server without ranges starts over each time: only going further than ever counts as progress.
        idle = 0 if done > furthest else idle + 1
        furthest = max(done, furthest)
        reason = reason or f"broke off after {done:,} of {size:,} bytes"
    raise TransferFailed(reason)


def _one_try(client: httpx.Client, url: str, part: Path, *, size: int, report: Callable[[int], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    # Compressed transfer would make byte ranges mean something else than bytes of the file.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code in _PASSING:
            raise httpx.HTTPStatusError(
                f"status {response.status_code}", request=response.request, response=response
            )
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            raise httpx.HTTPError("the server does not know the range; starting over")
        if response.status_code >= 400:
            raise TransferFailed(f"status {response.status_code}")
        start = _start_of(response)
        if start not in (0, have):
            raise TransferFailed(f"asked for bytes from {have}, got them from {start}")
        with part.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            stream.truncate()
            done = start
            report(done)
            # Chunks as they arrive: gathering them first would lose the last ones when the line breaks.
            for chunk in response.iter_raw():
                done += len(chunk)
                if done > size:
                    raise TransferFailed(f"more than the declared {size:,} bytes")
                stream.write(chunk)
                stream.flush()
                report(done)


def _start_of(response: httpx.Response) -> int:
    """The file's byte that the body starts with: 0 unless the server honored the range."""
    if response.status_code != 206:
        return 0
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if not match:
        raise TransferFailed("a partial answer without saying which part")
    return int(match[1])

"""A running service, as `recon enroll` and `recon verify` speak with it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
import typer

from recon_service.application.records.identifiers import check_subject_id
from recon_service.domain.errors import InvalidValue

EXIT_USAGE: Final = 2
EXIT_FAULT: Final = 3
DEFAULT_URL: Final = "http://127.0.0.1:8460"
PATIENCE_S: Final = 60.0
"""So long a command that watches something waits for a service that is away: it may be started anew."""
FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 5.0
LATER: Final = (429, 502, 503, 504)
Part = tuple[str, tuple[str, bytes]]


class ServiceClient:
    """Sends requests with the API key; an answer that is a problem ends the command. http: for commands that
    can go on after a problem.
    """

    def __init__(self, url: str, api_key: str | None) -> None:
        key = api_key or os.environ.get("RECON_API_KEY")
        if not key:
            stop(
                EXIT_USAGE,
                "No API key.",
                "Set RECON_API_KEY, or use --api-key; `recon serve` prints one at its first start.",
            )
        if not key.isascii():
            stop(EXIT_USAGE, "The API key holds a character that no key has.", "Copy it as it was printed.")
        self._url = url
        with self.reached("Check --url."):
            self.http = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {key}"},
                timeout=httpx.Timeout(60.0, connect=5.0),
            )

    def post(
        self, path: str, *, parts: Sequence[Part], fields: dict[str, str], headers: dict[str, str]
    ) -> httpx.Response:
        """Send a form."""
        with self.reached():
            answer = self.http.post(_address(path), files=list(parts), data=fields, headers=headers)
        self.check(answer)
        return answer

    def kiosk_session(self, subject: str) -> dict[str, str]:
        """Begin a visit: the session's id and its first nonce."""
        answer = self.send("POST", "/v1/kiosk-sessions", body={"subject_id": subject})
        return {name: str(answer.json()[name]) for name in ("session_id", "nonce")}

    def get(self, path: str) -> httpx.Response:
        """Fetch an address."""
        return self.send("GET", path)

    def send(
        self, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Ask with a JSON body, or none."""
        with self.reached():
            answer = self.http.request(method, _address(path), json=body, headers=headers)
        self.check(answer)
        return answer

    @contextmanager
    def reached(self, next_step: str = "Is it running? Start it with: recon serve") -> Iterator[None]:
        """Ends the command, with what to do next, when the service cannot be asked in the block, or breaks
        off.
        """
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            stop(EXIT_FAULT, f"{self._url} does not answer ({type(fault).__name__}).", next_step)

    def look(self, path: str) -> httpx.Response:
        """Fetch an address again and again: a service that is away or busy for a moment ends nothing."""
        patience = _Patience()
        while True:
            with self.reached():
                try:
                    answer = self.http.get(_address(path))
                except httpx.TransportError:
                    if not patience.wait():
                        raise
                    continue
            if answer.status_code not in LATER or not patience.wait():
                self.check(answer)
                return answer

    def follow(self, path: str) -> Iterator[dict[str, Any]]:
        """The operation as it changes, until its end; a broken stream is taken up again."""
        last_id, patience = "", None
        while True:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id}
            why = "the stream ends"
            try:
                with self.http.stream("GET", path, headers=headers) as answer:
                    if answer.status_code not in (200, *LATER):
                        answer.read()
                        self.check(answer)
                    why = f"HTTP {answer.status_code}"
                    for name, event_id, content in _events(answer.iter_lines()):
                        last_id, patience = event_id, None
                        yield content
                        if name != "progress":
                            return
            except httpx.TransportError as fault:
                why = type(fault).__name__
            patience = patience or _Patience()
            if not patience.wait():
                stop(
                    EXIT_FAULT,
                    f"{self._url} does not answer any more ({why}).",
                    f"What it took on goes on without this command; ask for it at {path}",
                )

    def check(self, answer: httpx.Response) -> None:
        """End the command unless the answer is a success."""
        if answer.is_success:
            return
        try:
            problem = answer.json()
            title, detail, step = problem["title"], problem["detail"], problem["next_step"]
        except (ValueError, KeyError, TypeError):
            title, detail, step = (
                f"HTTP {answer.status_code}",
                "The answer is not one of recon-service.",
                "Check --url.",
            )
        code = EXIT_USAGE if answer.status_code < 500 else EXIT_FAULT
        stop(code, f"{title}: {detail}", step)


class _Patience:
    """Growing pauses, as long as somebody who watches is kept waiting."""

    def __init__(self) -> None:
        self._until = time.monotonic() + PATIENCE_S
        self._pause = FIRST_PAUSE_S

    def wait(self) -> bool:
        """False, at once, when the time is over."""
        if time.monotonic() + self._pause > self._until:
            return False
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return True


def read_parts(name: str, files: Sequence[Path]) -> list[Part]:
    """Files as form parts; their names stay on this machine."""
    parts = []
    for number, path in enumerate(files):
        try:
            parts.append((name, (f"{name}-{number}", path.read_bytes())))
        except OSError as fault:
            stop(EXIT_USAGE, f"{path} cannot be read: {fault.strerror}.", "")
    return parts


def path_of(subject: str) -> str:
    """Address of a subject; ends the command for what cannot be one's id."""
    try:
        check_subject_id(subject)
    except InvalidValue as fault:
        stop(EXIT_USAGE, f"{subject!r} names nobody: {fault.detail}.", fault.next_step)
    return f"/v1/subjects/{subject}"


def _address(path: str) -> str:
    """The path; an identifier in it that would lead elsewhere ends the command."""
    if {".", ".."} & set(path.partition("?")[0].split("/")):
        stop(
            EXIT_USAGE,
            "An identifier is not '.' or '..' and has no '/../' in it.",
            "Copy it as it was printed.",
        )
    return path


def stop(code: int, what: str, next_step: str) -> NoReturn:
    """Say what is wrong and end the command."""
    typer.secho(what, fg="red", err=True)
    if next_step:
        typer.echo(next_step, err=True)
    raise typer.Exit(code)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(name, id, data) of server-sent events; comments and unknown fields are skipped."""
    name, last_id, content = "", "", ""
    for line in lines:
        if not line:
            if content:
                yield name, last_id, json.loads(content)
            name, content = "", ""
        elif line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            last_id = line[4:]
        elif line.startswith("data: "):
            content += line[6:]

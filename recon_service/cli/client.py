"""A running service, as `recon enroll` and `recon verify` speak with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
import typer

EXIT_USAGE: Final = 2
EXIT_FAULT: Final = 3
DEFAULT_URL: Final = "http://127.0.0.1:8460"
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
        self._url = url
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(60.0, connect=5.0),
        )

    def post(
        self, path: str, *, parts: Sequence[Part], fields: dict[str, str], headers: dict[str, str]
    ) -> httpx.Response:
        """Send a form."""
        try:
            answer = self.http.post(path, files=list(parts), data=fields, headers=headers)
        except httpx.HTTPError as fault:
            self._unreachable(fault)
        self.check(answer)
        return answer

    def kiosk_session(self, subject: str) -> dict[str, str]:
        """Begin a visit: the session's id and its first nonce."""
        try:
            answer = self.http.post("/v1/kiosk-sessions", json={"subject_id": subject})
        except httpx.HTTPError as fault:
            self._unreachable(fault)
        self.check(answer)
        return {name: str(answer.json()[name]) for name in ("session_id", "nonce")}

    def get(self, path: str) -> httpx.Response:
        """Fetch an address."""
        return self.send("GET", path)

    def send(
        self, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Ask with a JSON body, or none."""
        try:
            answer = self.http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as fault:
            self._unreachable(fault)
        self.check(answer)
        return answer

    def follow(self, path: str) -> Iterator[dict[str, Any]]:
        """The operation as it changes, until its end; a broken stream is taken up again."""
        last_id, failures = "", 0
        while failures < 10:
            headers = {"Accept": "text/event-stream", "Last-Event-ID": last_id}
            try:
                with self.http.stream("GET", path, headers=headers) as answer:
                    if answer.status_code != 200:
                        answer.read()
                        self.check(answer)
                    for name, event_id, content in _events(answer.iter_lines()):
                        last_id, failures = event_id, 0
                        yield content
                        if name != "progress":
                            return
            except httpx.HTTPError as fault:
                failures += 1
                if failures == 10:
                    self._unreachable(fault)

    def _unreachable(self, fault: httpx.HTTPError) -> NoReturn:
        stop(
            EXIT_FAULT,
            f"{self._url} does not answer ({type(fault).__name__}).",
            "Is it running? Start it with: recon serve",
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


def read_parts(name: str, files: Sequence[Path]) -> list[Part]:
    """Files as form parts; their names stay on this machine."""
    parts = []
    for number, path in enumerate(files):
        try:
            parts.append((name, (f"{name}-{number}", path.read_bytes())))
        except OSError as fault:
            stop(EXIT_USAGE, f"{path} cannot be read: {fault.strerror}.", "")
    return parts


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

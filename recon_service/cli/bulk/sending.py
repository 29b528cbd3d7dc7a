"""Rows to a running service and back: each is acknowledged once, however often the command is run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

import httpx

from recon_service.cli.bulk.index import BadRow, Row
from recon_service.cli.bulk.journal import Journal
from recon_service.cli.bulk.sources import Source
from recon_service.domain.errors import CallerError, ReconError, ServiceFault, StorageFault

PATIENCE_S: Final = 600.0
"""How long a service that is busy or away is asked again for one row."""
POLL_S: Final = 1.0
POLLED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row. state: of the operation, or ``bad-row``, ``refused``, ``waiting``."""

    number: int
    subject_id: str
    state: str
    operation_id: str = ""
    problem: str = ""


class Sender:
    """Sends enrollments over one HTTP client. Thread-safe."""

    def __init__(self, http: httpx.Client, source: Source, journal: Journal) -> None:
        self._http, self._source, self._journal = http, source, journal

    def send(self, row: Row | BadRow) -> Outcome:
        """Raises ServiceFault when the service stays away, CallerError when the API key is refused."""
        if isinstance(row, BadRow):
            return Outcome(row.number, row.subject_id, "bad-row", problem=row.problem)
        known = self._journal.operations.get(row.identity)
        if known is not None:
            return Outcome(row.number, row.subject_id, self._journal.states.get(known, "waiting"), known)
        try:
            parts = [("selfies", (f"selfie-{n}", self._source.read(s))) for n, s in enumerate(row.selfies)]
        except StorageFault:
            raise
        except ReconError as fault:
            return Outcome(row.number, row.subject_id, "bad-row", problem=fault.detail)
        fields = {
            "consent_id": row.consent_id,
            "keep_selfies": str(row.keep_selfies).lower(),
            "keep_evidence": str(row.keep_evidence).lower(),
            "keep_probes": str(row.keep_probes).lower(),
            **({"consent_expires_at": row.consent_expires_at} if row.consent_expires_at else {}),
            "batch": "true",
        }
        answer = self._asked(
            lambda: self._http.post(
                f"/v1/subjects/{row.subject_id}/enrollments",
                files=parts,
                data=fields,
                # Sent again after a crash before the journal had it, it is the same request.
                headers={"Idempotency-Key": row.identity},
            )
        )
        if not answer.is_success:
            return Outcome(row.number, row.subject_id, "refused", problem=_problem(answer))
        operation: str = answer.json()["operation_id"]
        return Outcome(row.number, row.subject_id, "waiting", operation)

    def state(self, operation_id: str) -> str | None:
        """How an operation ended; None: it has not."""
        answer = self._asked(lambda: self._http.get(f"/v1/operations/{operation_id}"))
        if answer.status_code == 404:
            return "deleted"
        if not answer.is_success:
            raise ServiceFault(f"asking for an operation failed: {_problem(answer)}")
        found: dict[str, Any] = answer.json()
        state: str = found["state"]
        return state if state in ("succeeded", "rejected", "failed") else None

    def _asked(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        deadline, pause = time.monotonic() + PATIENCE_S, 0.5
        while True:
            try:
                answer = ask()
            except httpx.TransportError as fault:
                problem, wait_s = f"the service does not answer ({type(fault).__name__})", pause
            else:
                if answer.status_code in (401, 403):
                    raise CallerError(_problem(answer), next_step="Check the API key and its scopes.")
                if answer.status_code not in (429, 500, 502, 503, 504):
                    return answer
                problem, wait_s = _problem(answer), float(answer.headers.get("Retry-After", pause))
            if time.monotonic() + wait_s > deadline:
                raise ServiceFault(problem, next_step="Run the command again: it goes on where it stopped.")
            time.sleep(wait_s * random.uniform(1.0, 1.3))
            pause = min(2 * pause, 30.0)


def send_all(
    rows: Iterable[Row | BadRow], sender: Sender, journal: Journal, *, at_once: int
) -> Iterator[Outcome]:
    """Outcomes as they come. Few rows are in memory at any moment."""
    with ThreadPoolExecutor(at_once) as pool:
        pending: set[Future[tuple[Row | BadRow, Outcome]]] = set()
        source = iter(rows)
        while True:
            while len(pending) < 2 * at_once and (row := next(source, None)) is not None:
                pending.add(pool.submit(_with_row, sender, row))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    row, outcome = future.result()
                except BaseException:
                    for other in pending:
                        other.cancel()
                    raise
                if isinstance(row, Row) and outcome.operation_id and row.identity not in journal.operations:
                    journal.acknowledged(row.identity, outcome.operation_id)
                yield outcome


def _with_row(sender: Sender, row: Row | BadRow) -> tuple[Row | BadRow, Outcome]:
    return row, sender.send(row)


def follow_all(sender: Sender, journal: Journal) -> Iterator[str]:
    """Operations as they end, oldest first, until all have."""
    waiting = journal.open_operations()
    while waiting:
        still: list[str] = []
        for operation in waiting[:POLLED_AT_ONCE]:
            state = sender.state(operation)
            if state is None:
                still.append(operation)
            else:
                journal.ended(operation, state)
                yield operation
        waiting = still + waiting[POLLED_AT_ONCE:]
        if still:
            time.sleep(POLL_S)


def _problem(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return f"{body['title']}: {body['detail']} {body.get('next_step', '')}".strip()
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"

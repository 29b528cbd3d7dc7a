"""The service as a kiosk speaks with it: sessions with nonces, verifications, and what became of them.

Every attempt is made for a nonce of its own, and the service decides once per session. So an attempt may be
repeated without asking what became of the one before: either the session still gives a nonce and nothing was
decided, or it does not, and then its decision is void, because nobody heard it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import httpx

from recon_service.domain.errors import InvalidValue
from recon_service.domain.kiosk_proof import NONCE_PATTERN, PROOF_VERSION, capture_proof, capture_statement
from recon_service.kiosk.capture import Capture
from recon_service.kiosk.connection import Connection, not_ours
from recon_service.kiosk.errors import (
    AnswerLost,
    ServiceBusy,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    SessionOver,
)

FIRST_PAUSE_S: Final = 0.15
LONGEST_PAUSE_S: Final = 3.0
INVALID: Final = 422


@dataclass(frozen=True, slots=True)
class Times:
    """Limits in seconds. connect, answer: of one request. visit: of all attempts for one capture together."""

    connect: float = 2.0
    answer: float = 8.0
    visit: float = 20.0

    def __post_init__(self) -> None:
        if min(self.connect, self.answer, self.visit) <= 0:
            raise InvalidValue("time limits are positive")


@dataclass(frozen=True, slots=True)
class Session:
    """An open session and its newest nonce."""

    session_id: str
    subject_id: str
    nonce: str = field(repr=False)
    attempts_left: int
    expires_at: float
    """By the kiosk's own monotonic clock, which nobody sets."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the service decided. score: natural log-likelihood ratio or None. milliseconds: per stage of the
    service. attempts: how many requests it took.
    """

    decision: str
    score: float | None
    reasons: tuple[tuple[str, str], ...]
    frames_used: int
    milliseconds: dict[str, float]
    attempts: int = 1

    @property
    def final(self) -> bool:
        """Whether further frames cannot change it."""
        return self.decision != "INCONCLUSIVE"


class Service:
    """One kiosk's connection. For one thread at a time.

    api_key: with the scope verify, or empty to ask whether the service is there. certificate, authority: see
    ``Connection``.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        times: Times | None = None,
        certificate: tuple[str, str] | None = None,
        authority: str | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.times = times or Times()
        self._clock, self._sleep = clock, sleep
        self._line = Connection(
            url,
            api_key,
            timeout=httpx.Timeout(self.times.answer, connect=self.times.connect),
            certificate=certificate,
            authority=authority,
            transport=transport,
        )

    def open_session(self, subject_id: str) -> Session:
        """Begin a visit. Raises ServiceUnreachable, ServiceBusy, ServiceRefused."""
        answer = self._post("/v1/kiosk-sessions", json={"subject_id": subject_id})
        return self._session(answer, subject_id)

    def next_nonce(self, session: Session) -> Session:
        """Another attempt in the same session. Raises SessionOver, and as ``open_session``."""
        if session.attempts_left < 1 or self._clock() >= session.expires_at:
            raise SessionOver("the session has no further nonce", next_step="Capture anew in a new session.")
        answer = self._post(f"/v1/kiosk-sessions/{session.session_id}/nonces")
        return self._session(answer, session.subject_id)

    def verify_once(self, session: Session, capture: Capture) -> Verdict:
        """One attempt with the newest nonce.

        Raises ServiceUnreachable (what became of the attempt is unknown), ServiceBusy, SessionOver,
        ServiceRefused.
        """
        statement = capture_statement(
            session_id=session.session_id,
            subject_id=session.subject_id,
            depth=capture.depth,
            images=capture.images,
            intrinsics=capture.intrinsics,
        )
        parts = [("depth", (f"{n}.png", d, "image/png")) for n, d in enumerate(capture.depth)]
        parts += [("image", (f"{n}", i, "application/octet-stream")) for n, i in enumerate(capture.images)]
        answer = self._post(
            f"/v1/subjects/{session.subject_id}/verifications",
            files=parts,
            data={"intrinsics": capture.intrinsics},
            headers={
                "Kiosk-Session": session.session_id,
                "Kiosk-Proof": capture_proof(session.nonce, statement),
            },
        )
        try:
            body = answer.json()
            return Verdict(
                decision=str(body["decision"]),
                score=None if body["score"] is None else float(body["score"]),
                reasons=tuple((str(r["code"]), str(r["hint"])) for r in body["reasons"]),
                frames_used=int(body["frames_used"]),
                milliseconds={str(k): float(v) for k, v in body["milliseconds"].items()},
            )
        except (ValueError, KeyError, TypeError):
            raise not_ours(answer) from None

    def verify(
        self, subject_id: str, capture: Capture, *, session: Session | None = None, fresh: bool = True
    ) -> tuple[Verdict, Session]:
        """The decision, with as many attempts as time allows, and the session as it stands then.

        session: an open one, None to open one. fresh: whether its newest nonce was not used yet. A broken
        connection, a late answer or a busy service is tried again with a new nonce after a growing pause.

        Raises AnswerLost when the service decided and the answer did not come, SessionOver, ServiceRefused,
        and the last ServiceUnreachable or ServiceBusy when time is over.
        """
        deadline = self._clock() + self.times.visit
        pause, attempts, unheard = FIRST_PAUSE_S, 0, False
        while True:
            try:
                if session is None:
                    session, fresh = self.open_session(subject_id), True
                if not fresh:
                    session = self.next_nonce(session)
                fresh, attempts = False, attempts + 1
                verdict = self._heard(session, capture)
                return replace(verdict, attempts=attempts), session
            except _Unheard as fault:
                unheard = True
                self._wait(pause, deadline, fault.cause)
            except SessionOver:
                if not unheard:
                    raise
                raise AnswerLost(
                    "an attempt was decided and its answer never came",
                    next_step="Capture anew in a new session.",
                ) from None
            except ServiceUnreachable as fault:
                self._wait(pause, deadline, fault)
            except ServiceBusy as fault:
                self._wait(max(pause, fault.retry_after_s), deadline, fault)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _heard(self, session: Session, capture: Capture) -> Verdict:
        try:
            return self.verify_once(session, capture)
        except ServiceUnreachable as fault:
            raise _Unheard(fault) from None

    def call(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Another request of the kiosk, once. Raises ServiceUnreachable, ServiceBusy, ServiceRefused."""
        return self._line.send(method, path, json=json)

    def require_admitted(self) -> None:
        """Asks for the session of what is nobody's number: refused for that, or because of the API key.

        Raises ServiceRefused for a key that is not valid or may not verify; ServiceUnreachable, ServiceBusy.
        """
        try:
            self._post("/v1/kiosk-sessions", json={"subject_id": "?"})
        except ServiceRefused as fault:
            if fault.status != INVALID:
                raise

    def reachable(self) -> bool:
        """Whether the service answers and is ready."""
        return self._line.reachable()

    def close(self) -> None:
        """Drop the connections."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _wait(self, pause_s: float, deadline: float, fault: ServiceError) -> None:
        """Sleep before the next attempt; raise the fault when that would come too late."""
        pause_s *= random.uniform(0.75, 1.25)  # so that kiosks do not come back all at once
        if self._clock() + pause_s >= deadline:
            raise fault
        self._sleep(pause_s)

    def _post(self, path: str, **content: Any) -> httpx.Response:
        return self._line.send("POST", path, **content)

    def _session(self, answer: httpx.Response, subject_id: str) -> Session:
        try:
            body = answer.json()
            if body["proof"] != PROOF_VERSION or not NONCE_PATTERN.fullmatch(body["nonce"]):
                raise ValueError
            return Session(
                session_id=str(body["session_id"]),
                subject_id=subject_id,
                nonce=str(body["nonce"]),
                attempts_left=int(body["attempts_left"]),
                expires_at=self._clock() + float(body["expires_in_seconds"]),
            )
        except (ValueError, KeyError, TypeError):
            raise not_ours(answer) from None


class _Unheard(Exception):
    """An attempt of which nobody knows whether the service decided it."""

    def __init__(self, cause: ServiceUnreachable) -> None:
        super().__init__()
        self.cause = cause

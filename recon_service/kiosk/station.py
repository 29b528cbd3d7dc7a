"""A kiosk at work: one camera, one screen, one visit at a time, until it is told to stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, Final

from recon_service.application.records.identifiers import check_subject_id
from recon_service.domain.errors import InvalidValue, ReconError
from recon_service.kiosk.cameras.camera import CameraFrame, DepthCamera
from recon_service.kiosk.connection import LOCKED_OUT
from recon_service.kiosk.errors import CameraError, KioskError, ServiceRefused
from recon_service.kiosk.screen.server import Busy
from recon_service.kiosk.screen.state import Shown
from recon_service.kiosk.visit import TIMED_OUT, Kiosk, VisitResult

RESULT_SECONDS: Final = 4.0
CANCELLED: Final = "CANCELLED"
"""The visit was ended by the person or by the till. No decision of the service."""
RESTART: Final = "Restart `recon kiosk run`; if it happens again, report it."


class Station:
    """Runs visits one after the other on a thread of its own.

    kiosk: made on the thread that uses it. shown: what the screen serves. result_seconds: how long a result
    stays. log: told one line for each visit, without the subject.
    """

    def __init__(
        self,
        camera: DepthCamera,
        kiosk: Kiosk,
        shown: Shown,
        *,
        result_seconds: float = RESULT_SECONDS,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._camera, self._kiosk, self._shown = camera, kiosk, shown
        self._result_seconds, self._log = result_seconds, log
        self._one = threading.Lock()
        # The line to the service: of a visit or of a report. A visit waits for a report, nobody else for it.
        self._line = threading.Lock()
        self._cancelled = threading.Event()

    def visit(self, subject_id: str) -> dict[str, Any]:
        """One visit; what became of it as JSON: ``decision`` and its parts, or ``error`` with its code. A
        visit that was ended by ``cancel`` before a decision has the decision CANCELLED.

        Raises Busy while another is under way.
        """
        if not self._one.acquire(blocking=False):
            raise Busy
        try:
            self._cancelled.clear()
            self._shown.show(stage="guiding", advice="step-up")
            with self._line:
                told = self._told(subject_id)
        finally:
            # The result stays on the screen for a while, and nobody can begin before it has gone.
            threading.Thread(target=self._later_idle, daemon=True).start()
        return told

    def report(self) -> None:
        """Between visits: tell the service what was decided without it, and fetch the newest bundle. Does
        nothing during a visit or without edge mode; what fails is tried again the next time. Who comes
        meanwhile is not turned away: the visit begins when it has ended.
        """
        bundle = self._kiosk.bundle
        if bundle is None or self._one.locked() or not self._line.acquire(blocking=False):
            return
        try:
            sent = bundle.report()
            if sent:
                self._log(f"{sent} decisions reported")
        except ReconError as fault:
            self._log(f"not reported: {fault.title} [{fault.code}]: {fault}")
        finally:
            self._line.release()

    def cancel(self) -> None:
        """End the visit that is under way, without a decision."""
        self._cancelled.set()

    def _told(self, subject_id: str) -> dict[str, Any]:
        try:
            check_subject_id(subject_id)
        except InvalidValue as fault:  # what was typed cannot be anybody's number
            return self._no_decision(fault, "subject-unknown")
        try:
            result = self._run(subject_id)
        except ReconError as fault:
            return self._no_decision(fault, _screen_code(fault))
        except Exception as fault:  # whatever it is: the person and the till are told
            unforeseen = KioskError(
                f"a fault of the kiosk itself ({type(fault).__name__})", next_step=RESTART
            )
            return self._no_decision(unforeseen, unforeseen.code)
        if result.decision == TIMED_OUT and self._cancelled.is_set():
            result = replace(result, decision=CANCELLED)
        self._shown.result(result)
        took = result.milliseconds.get("capture to decision", 0.0)
        self._log(f"{result.decision} {took:.0f} ms {result.bytes_sent} bytes {result.captures} captures")
        return asdict(result)

    def _no_decision(self, fault: ReconError, code: str) -> dict[str, Any]:
        self._shown.show(stage="trouble", code=code)
        self._log(f"no decision: {fault.title} [{fault.code}]: {fault}")
        return {"error": fault.code, "detail": fault.detail, "next_step": fault.next_step}

    def _run(self, subject_id: str) -> VisitResult:
        try:
            self._camera.start()
            return self._kiosk.visit(subject_id, self._frames(), show=self._shown.moment)
        finally:
            with contextlib.suppress(CameraError):
                self._camera.stop()

    def _frames(self) -> Iterator[CameraFrame]:
        while not self._cancelled.is_set():
            frame = self._camera.read()
            if frame is None:
                return
            yield frame

    def _later_idle(self) -> None:
        time.sleep(self._result_seconds)
        self._shown.show(stage="idle")
        self._one.release()


def _screen_code(fault: ReconError) -> str:
    """What the screen has words for."""
    if isinstance(fault, ServiceRefused):
        if fault.problem == "not-found":
            return "subject-unknown"
        if fault.problem == LOCKED_OUT:
            return "locked"
    return fault.code

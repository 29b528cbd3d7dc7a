"""The heavy part of batches in child processes that give way to those that people wait for."""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Sequence

from recon_service.application.model_records import ModelsInForce
from recon_service.application.records import LANDMARKS_ALONE, EnrollmentOutcome
from recon_service.domain.template import Template
from worker.children import Child, ChildCompute


class BatchChildCompute(ChildCompute):
    """See ``ports.batches.Rederiving``. Its children start with the first call."""

    def models(self) -> ModelsInForce:
        """See ``LocalCompute.models``."""
        models: ModelsInForce = self._call("models", ())
        return models

    def refit(self, content: bytes, *, backend: str = LANDMARKS_ALONE) -> EnrollmentOutcome:
        """See ``LocalCompute.refit``."""
        outcome: EnrollmentOutcome = self._call("refit_with", (backend, content))
        return outcome

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        """See ``LocalCompute.carry_over``."""
        found: tuple[Template | str, ...] = self._call("carry_over", (tuple(templates),))
        return found

    def rest(self) -> None:
        """End children that have nothing to do; the next call starts one."""
        for _ in range(self._idle.qsize()):
            try:
                child = self._idle.get_nowait()
            except queue.Empty:
                return
            if child is not None:
                self._discard(child)
            self._idle.put(None)

    def _new_child(self) -> Child:
        child = super()._new_child()
        with contextlib.suppress(OSError):  # it died already, or the system knows no such thing
            os.setpriority(os.PRIO_PROCESS, child.pid, self._settings.batch_niceness)
        return child

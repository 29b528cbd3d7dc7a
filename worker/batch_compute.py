"""The heavy part of batches in child processes that give way to those that people wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from typing import Any, Final

from recon_service.application.records.evaluations import (
    EvaluationOutcome,
    EvaluationSet,
    PersonObserved,
    SetFacts,
    SideObserved,
    Way,
)
from recon_service.application.records.models import ModelsInForce
from recon_service.application.records.operations import LANDMARKS_ALONE, EnrollmentOutcome
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import Template
from recon_service.settings import Settings
from worker.children import ChildCompute

EVALUATION_S: Final = 300.0
"""Of one call: nobody waits for it, and the machine may be full of more urgent work."""


class BatchChildCompute(ChildCompute):
    """See ``ports.batches.Rederiving``. Its children start with the first call, those of another canonical
    model with the first that asks for it.
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(settings, **options)
        self._options = options
        self._models: ModelsInForce | None = None
        self._others: dict[str, BatchChildCompute] = {}
        self._others_lock = threading.Lock()

    def models(self) -> ModelsInForce:
        """See ``LocalCompute.models``."""
        models: ModelsInForce = self._call("models", ())
        self._models = models
        return models

    def under(self, model: str) -> BatchChildCompute:
        """See ``Rederiving.under``. Raises ModelMismatch for a model that is not there."""
        known = self._models or self.models()
        if model == known.model:
            return self
        choice = next((other.choice for other in known.others if other.model == model), None)
        if choice is None:
            raise ModelMismatch(
                f"this worker cannot load the model {model[:40]!r}",
                next_step="See what workers can load: GET /v1/models.",
            )
        with self._others_lock:
            if model not in self._others:
                settings = self._settings.model_copy(update={"model": choice})
                # What is in force is said of the model in force alone.
                options = {**self._options, "versions": lambda _versions: None}
                self._others[model] = BatchChildCompute(settings, **options)
                if self._closed:
                    self._others[model].close()
            return self._others[model]

    def close(self) -> None:
        """As ``ChildCompute.close``, of all models."""
        super().close()
        for other in self._under_way():
            other.close()

    def _under_way(self) -> list[BatchChildCompute]:
        with self._others_lock:
            return list(self._others.values())

    def refit(self, content: bytes, *, backend: str = LANDMARKS_ALONE) -> EnrollmentOutcome:
        """See ``LocalCompute.refit``."""
        outcome: EnrollmentOutcome = self._call("refit_with", (backend, content))
        return outcome

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        """See ``LocalCompute.carry_over``."""
        found: tuple[Template | str, ...] = self._call("carry_over", (tuple(templates),))
        return found

    def evaluation_facts(self, which: EvaluationSet) -> SetFacts:
        """See ``LocalCompute.evaluation_facts``."""
        facts: SetFacts = self._call("evaluation_facts", (which,), limit_s=EVALUATION_S)
        return facts

    def evaluation_person(self, which: EvaluationSet, person: int, way: Way) -> PersonObserved:
        """See ``LocalCompute.evaluation_person``."""
        seen: PersonObserved = self._call("evaluation_person", (which, person, way), limit_s=EVALUATION_S)
        return seen

    def evaluation_outcome(
        self, facts: SetFacts, former: SideObserved, candidate: SideObserved
    ) -> EvaluationOutcome:
        """See ``LocalCompute.evaluation_outcome``."""
        outcome: EvaluationOutcome = self._call(
            "evaluation_outcome", (facts, former, candidate), limit_s=EVALUATION_S
        )
        return outcome

    def rest(self) -> None:
        """End children that have nothing to do; the next call starts one."""
        for other in self._under_way():
            other.rest()
        for _ in range(self._idle.qsize()):
            try:
                child = self._idle.get_nowait()
            except queue.Empty:
                return
            if child is not None:
                self._discard(child)
            self._idle.put(None)

"""Subjects with templates, and a compute for batches that gives what a test wants of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from recon_service.application.ports.compute import Progress
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.models import ModelsInForce
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.records.templates import SealedTemplate, TemplateState
from recon_service.application.reenrolling.batch_items import ItemPolicy
from recon_service.application.reenrolling.batch_runs import RunnerPolicy, work_on_batches
from recon_service.application.templates.sealing import TEMPLATE_PLACE
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template
from tests.unit.application.stores import OUTCOME

MODELS = ModelsInForce("model-2", "0" * 64, "space", 2, "table-2@0123", "facemesh468", "")
POLICY = RunnerPolicy(
    item=ItemPolicy(backoff=timedelta(0), storage_backoff=timedelta(0)), group=8, page=16, switched=8
)


@dataclass
class NoOpCompute:
    """Puts other names on a template. fault: what an item meets; refit: what kept evidence gives."""

    fault: Callable[[Template], Exception | None] = lambda _template: None
    outcome: Callable[[], EnrollmentOutcome] = lambda: replace(OUTCOME, model="model-2")
    carried: list[str] = field(default_factory=list)
    reconstructed: list[tuple[bytes, ...]] = field(default_factory=list)
    refits: list[bytes] = field(default_factory=list)
    asked_under: list[str] = field(default_factory=list)
    models_in_force: ModelsInForce = MODELS

    def models(self) -> ModelsInForce:
        return self.models_in_force

    def under(self, model: str) -> NoOpCompute:
        self.asked_under.append(model)
        return self

    def reconstruct(self, selfies: Sequence[bytes], progress: Progress, *, backend: str) -> EnrollmentOutcome:
        self.reconstructed.append(tuple(selfies))
        return self.outcome()

    def refit(self, content: bytes, *, backend: str) -> EnrollmentOutcome:
        self.refits.append(content)
        return self.outcome()

    def carry_over(self, templates: Sequence[Template]) -> tuple[Template | str, ...]:
        for template in templates:
            fault = self.fault(template)
            if fault is not None:
                raise fault
        self.carried += [t.subject_id for t in templates]
        return tuple(replace(t, model="model-2", calibration="table-2@0123") for t in templates)


def template_for(
    subject_id: str, *, now: datetime, model: str = "model-1", quality: float = 80.0
) -> Template:
    return Template(
        template_id=new_id("tpl"),
        subject_id=subject_id,
        posterior=IdentityPosterior("space", np.array([0.5, -0.25]), np.array([[0.5, 0.1], [0.1, 0.4]])),
        source="selfies-photometric/visible",
        model=model,
        calibration="table-1@9876",
        provenance=(Provenance("selfies-photometric/visible", "facemesh468", now),),
        quality=quality,
        created_at=now,
    )


def add_subject(
    stores: Stores, subject_id: str, *, model: str = "model-1", quality: float = 80.0, age_days: float = 1.0
) -> str:
    """A subject with a template in force, without an enrollment; the template's id."""
    return add_subjects(stores, [subject_id], model=model, quality=quality, age_days=age_days)[0]


def add_subjects(
    stores: Stores,
    subject_ids: Sequence[str],
    *,
    model: str = "model-1",
    quality: float = 80.0,
    age_days: float = 1.0,
) -> list[str]:
    now = utc_now() - timedelta(days=age_days)
    made = []
    with stores.database.transaction() as tx:
        for subject_id in subject_ids:
            key = stores.vault.new_key(subject_id)
            tx.subjects.add(key, now=now)
            template = template_for(subject_id, now=now, model=model, quality=quality)
            tx.templates.add(seal(stores, template, key))
            made.append(template.template_id)
    return made


def seal(stores: Stores, template: Template, key: object, **changes: object) -> SealedTemplate:
    content = stores.template_format.write(template)
    sealed = SealedTemplate(
        template_id=template.template_id,
        subject_id=template.subject_id,
        operation_id=None,
        model=template.model,
        source=template.source,
        calibration=template.calibration,
        quality=template.quality,
        created_at=template.created_at,
        sealed=stores.vault.cipher(key).seal(content, place=TEMPLATE_PLACE, row=template.template_id),
        state=TemplateState.ACTIVE,
        activated_at=template.created_at,
    )
    return replace(sealed, **changes)


def work(stores: Stores, compute: NoOpCompute | None = None, *, turns: int = 10_000) -> int:
    """Turns until there is nothing to do; how many."""
    for turn in range(turns):
        if not work_on_batches(on=stores, compute=compute or NoOpCompute(), models=MODELS, policy=POLICY):
            return turn
    return turns

"""While templates move to another model, every process compares with a version of its own model, if the
person has had one in force. On SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import BatchTarget, Material, Selection
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.reenrolling.batches import activate_batch, roll_back_batch, submit_batch
from recon_service.application.templates.subjects import load_template
from recon_service.application.verifying.attempts import LockoutPolicy
from recon_service.application.verifying.lockouts import verify_guarded
from recon_service.application.verifying.strengthening_keeping import StrengtheningLimits
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import ComparisonScore, Decision, Template, VerificationResult
from recon_service.simulation import KIOSK_CAMERA
from tests.stacks import Stack
from tests.unit.application.batches_support import add_subject, seal, template_for, work
from tests.unit.application.stores import ScriptedCompute, open_in

VISIT = KioskVisit((b"depth",), KIOSK_CAMERA)
OLD, NEW = "model-1", "model-2"


@dataclass
class ModelCompute(ScriptedCompute):
    """A process that runs one model, and compares with templates of no other."""

    model: str = OLD
    compared: list[str] = field(default_factory=list)
    grown: list[bool] = field(default_factory=list)

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        if reference.model != self.model:
            raise ModelMismatch(f"a template of {reference.model}, the service runs {self.model}")
        self.compared.append(reference.template_id)
        self.grown.append(visit.may_strengthen)
        score = ComparisonScore(4.0, "facemesh468", "depth", "table")
        return VerificationOutcome(VerificationResult(Decision.MATCH, score, (), "p"), "table", {})


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "state", stack)
    yield opened.stores
    opened.close()


def verified(stores: Stores, compute: ModelCompute) -> str:
    """The template that ada was compared with."""
    verify_guarded(
        "ada",
        VISIT,
        api_key_id="kiosk",
        policy=LockoutPolicy(),
        on=stores,
        compute=compute,
        strengthening=StrengtheningLimits(per_day=9),
    )
    return compute.compared[-1]


def said(stores: Stores) -> str:
    """Of the last verification, in the audit log."""
    with stores.database.snapshot() as tx:
        return [entry.outcome for entry in tx.audit.entries(action="verification")][-1]


def moved(stores: Stores) -> str:
    """A batch to the new model whose items have their end; the batch."""
    target = BatchTarget(model=NEW, materials=(Material.POSTERIOR,))
    batch_id = submit_batch(Selection(everybody=True), target, priority=5, actor="ops", on=stores)[0].batch_id
    work(stores)
    return batch_id


def test_a_fleet_moves_without_a_refusal(stores: Stores) -> None:
    """Activate, then switch process by process; or back: switch, then roll back."""
    before = add_subject(stores, "ada", model=OLD)
    old, new = ModelCompute(model=OLD), ModelCompute(model=NEW)
    batch_id = moved(stores)
    assert verified(stores, old) == before
    assert said(stores) == "MATCH"
    with pytest.raises(ModelMismatch, match="no version of before") as refused:
        verified(stores, new)
    assert "recon batch submit" in refused.value.next_step, "nobody has judged the candidate yet"

    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    after = load_template("ada", None, on=stores).template_id
    assert verified(stores, new) == after != before
    assert said(stores) == "MATCH"
    assert verified(stores, old) == before
    assert said(stores) == "MATCH former-version"
    assert (new.grown[-1], old.grown[-1]) == (True, False), "what is not in force does not grow"

    roll_back_batch(batch_id, actor="ops", on=stores)
    work(stores)
    assert verified(stores, old) == before
    with pytest.raises(ModelMismatch):
        verified(stores, new)


def test_a_version_is_found_below_what_was_strengthened(stores: Stores) -> None:
    before = add_subject(stores, "ada", model=OLD)
    batch_id = moved(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    for _ in range(2):
        add_version(stores, TemplateOrigin.STRENGTHENING, parent=True)
    assert load_template("ada", None, on=stores).model == NEW
    assert verified(stores, ModelCompute(model=OLD)) == before


def test_nothing_from_before_a_new_enrollment_nor_what_retention_took(stores: Stores) -> None:
    """Who enrolls anew is compared with those pictures alone."""
    add_subject(stores, "ada", model=OLD)
    batch_id = moved(stores)
    activate_batch(batch_id, actor="ops", on=stores)
    work(stores)
    with stores.database.transaction() as tx:
        assert tx.templates.destroy_retired(retired_before=utc_now() + timedelta(days=1), limit=9)
    with pytest.raises(ModelMismatch):
        verified(stores, ModelCompute(model=OLD))
    add_version(stores, TemplateOrigin.ENROLLMENT, parent=True, model=OLD)
    assert verified(stores, ModelCompute(model=OLD)) == load_template("ada", None, on=stores).template_id
    with pytest.raises(ModelMismatch):
        verified(stores, ModelCompute(model=NEW))


def add_version(stores: Stores, origin: TemplateOrigin, *, parent: bool, model: str = NEW) -> None:
    """In force from now on."""
    with stores.database.transaction() as tx:
        key, active = tx.subjects.key("ada", lock=True), tx.templates.active("ada")
        assert key is not None
        assert active is not None
        made = template_for("ada", now=utc_now(), model=model)
        version = seal(stores, made, key, state=TemplateState.CANDIDATE, activated_at=None, origin=origin)
        tx.templates.add(replace(version, parent_id=active.template_id if parent else None))
        tx.templates.activate("ada", version.template_id, now=utc_now())

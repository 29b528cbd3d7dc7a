"""Asking for batches, and what stands where in one."""

from __future__ import annotations

from dataclasses import replace

from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.batches import BatchState, BatchTarget, Material, Selection
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.reenrolling.batches import look_at_batch, submit_batch
from recon_service.application.templates.subjects import list_templates
from tests.unit.application.batches_support import (
    seal,
    template_for,
)
from tests.unit.application.stores import ListQueue, ScriptedCompute

EVERYBODY = Selection(everybody=True)
CARRIED = BatchTarget(materials=(Material.POSTERIOR,))


def submit(stores: Stores, selection: Selection = EVERYBODY, target: BatchTarget = CARRIED) -> str:
    return submit_batch(selection, target, priority=5, actor="ops", on=stores)[0].batch_id


def states(stores: Stores, batch_id: str) -> dict[str, int]:
    return {s.value: n for s, n in look_at_batch(batch_id, on=stores).tally.states.items() if n}


def standings(stores: Stores, batch_id: str) -> dict[str, int]:
    return {s.value: n for s, n in look_at_batch(batch_id, on=stores).tally.standings.items() if n}


def state(stores: Stores, batch_id: str) -> BatchState:
    return look_at_batch(batch_id, on=stores).batch.state


def in_force(stores: Stores, subject_id: str) -> tuple[str, bytes]:
    active = [t for t in list_templates(subject_id, on=stores) if t.state is TemplateState.ACTIVE]
    assert len(active) == 1
    return active[0].template_id, active[0].sealed


def enroll(stores: Stores, subject_id: str, *, keep_selfies: bool = False) -> None:
    request = EnrollmentRequest(subject_id, (b"one", b"two"), "consent-1", keep_selfies=keep_selfies)
    operation = request_enrollment(request, on=stores, queue=ListQueue()).operation
    done = run_enrollment(
        operation.operation_id, on=stores, compute=ScriptedCompute(), queue=ListQueue(), policy=JobPolicy()
    )
    assert done is not None


def add_version(stores: Stores, subject_id: str, origin: TemplateOrigin, **changes: object) -> str:
    with stores.database.transaction() as tx:
        key, active = tx.subjects.key(subject_id, lock=True), tx.templates.active(subject_id)
        assert key is not None
        assert active is not None
        template = replace(template_for(subject_id, now=utc_now()), template_id=new_id("tpl"), **changes)
        version = seal(
            stores,
            template,
            key,
            state=TemplateState.CANDIDATE,
            activated_at=None,
            origin=origin,
            parent_id=active.template_id,
        )
        tx.templates.add(version)
        tx.templates.activate(subject_id, version.template_id, now=utc_now())
    return version.template_id

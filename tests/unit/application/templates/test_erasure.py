"""What is left of a deleted person, in every table there is and will be: nothing that names them."""

from __future__ import annotations

import sqlalchemy as sa

from recon_service.application.edge.bundles import add_member
from recon_service.application.enrolling.capture_tokens import CaptureWish, make_capture
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.ports.stores import Stores
from recon_service.application.records.batches import Selection
from recon_service.application.records.references import DuplicateFinding
from recon_service.application.templates.subjects import delete_subject, list_templates
from recon_service.application.verifying.attempts import LockoutPolicy, begin_verification, settle
from recon_service.application.verifying.kiosk_sessions import KioskPolicy, open_session
from tests.unit.application.batches_asked import submit
from tests.unit.application.batches_support import work
from tests.unit.application.stores import ListQueue, ScriptedCompute

WHO = "zz-person-to-be-forgotten"
CONSENT = "zz-consent-of-that-person"


def enroll(stores: Stores, subject_id: str, consent_id: str = "c") -> str:
    wish = EnrollmentRequest(
        subject_id,
        (b"selfie",),
        consent_id,
        keep_selfies=True,
        keep_evidence=True,
        keep_probes=True,
        idempotency_key=f"of-{subject_id}",
        api_key_id="app",
    )
    operation = request_enrollment(wish, on=stores, queue=ListQueue()).operation
    run_enrollment(
        operation.operation_id, on=stores, compute=ScriptedCompute(), queue=ListQueue(), policy=JobPolicy()
    )
    return operation.operation_id


def named(stores: Stores) -> set[str]:
    """Tables and columns that hold the person's names, and objects that are called by them."""
    engine = stores.database.engine  # type: ignore[attr-defined]
    found = {f"object {key}" for key in stores.objects.list_keys() if WHO in key}
    tables = sa.MetaData()
    tables.reflect(engine)
    assert len(tables.tables) > 25
    with engine.connect() as connection:
        for table in tables.tables.values():
            for row in connection.execute(sa.select(table)).mappings():
                for column, value in row.items():
                    binary = isinstance(value, bytes | memoryview)
                    text = bytes(value).decode("latin-1") if binary else str(value)
                    if WHO in text or CONSENT in text:
                        found.add(f"{table.name}.{column}")
    return found


def test_a_deletion_leaves_no_name(stores: Stores) -> None:
    other = enroll(stores, "ada")
    own = enroll(stores, WHO, CONSENT)
    make_capture(CaptureWish(WHO, CONSENT), on=stores, api_key_id="app")
    open_session(WHO, api_key_id="kiosk", policy=KioskPolicy(), on=stores)
    attempt = begin_verification(WHO, api_key_id="kiosk", policy=LockoutPolicy(), on=stores)
    settle(attempt, outcome=("NO_MATCH",), failed=True, decided=True, on=stores)
    add_member("lobby", WHO, actor="ops", on=stores)
    template_id = list_templates(WHO, on=stores)[0].template_id
    now = stores.clock()
    with stores.database.transaction() as tx:
        tx.references.add_finding(DuplicateFinding(other, "ada", WHO, template_id, 3.0, now))
        tx.references.add_finding(DuplicateFinding(own, WHO, "ada", template_id, 3.0, now))
    submit(stores)
    submit(stores, Selection(subjects=("ada", WHO)))
    work(stores)
    before = named(stores)
    assert {"subjects.subject_id", "batch_items.subject_id", "consents.consent_id"} <= before

    delete_subject(WHO, on=stores)
    assert named(stores) == set()
    assert list_templates("ada", on=stores)

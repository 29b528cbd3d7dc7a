from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recon_service.application.enrolling.enrollment_runs import JobPolicy
from recon_service.application.errors import PreconditionFailed
from recon_service.application.housekeeping import Retention, sweep
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.templates import TemplateState
from recon_service.application.templates.subjects import (
    activate_template,
    list_templates,
    load_template,
    subject_version,
)
from recon_service.domain.errors import NotFound
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import ListQueue


@pytest.fixture
def versions(stores: Stores) -> tuple[str, str]:
    """Two enrollments of one person, older first."""
    made = [run(stores, ask(stores)) for _ in range(2)]
    first, second = (operation.template_id for operation in made if operation)
    assert first is not None
    assert second is not None
    return first, second


def states(stores: Stores) -> dict[str, TemplateState]:
    return {t.template_id: t.state for t in list_templates("ada", on=stores)}


def test_a_new_enrollment_takes_over_and_can_be_taken_back_bit_equal(
    stores: Stores, versions: tuple[str, str]
) -> None:
    first, second = versions
    assert states(stores) == {first: TemplateState.RETIRED, second: TemplateState.ACTIVE}
    before = {t.template_id: t.sealed for t in list_templates("ada", on=stores)}
    activate_template("ada", first, on=stores, actor="ops")
    assert states(stores) == {first: TemplateState.ACTIVE, second: TemplateState.RETIRED}
    assert load_template("ada", None, on=stores).template_id == first
    assert {t.template_id: t.sealed for t in list_templates("ada", on=stores)} == before
    with stores.database.snapshot() as tx:
        (entry,) = tx.audit.entries(action="template.activated")
    assert (entry.actor, entry.object_id, entry.outcome) == ("ops", first, f"instead of {second}")
    assert verify_audit(on=stores).broken is None


def test_activating_what_is_active_changes_nothing(stores: Stores, versions: tuple[str, str]) -> None:
    version = subject_version("ada", on=stores)
    activate_template("ada", versions[1], on=stores, if_version=version)
    assert subject_version("ada", on=stores) == version
    with stores.database.snapshot() as tx:
        assert not list(tx.audit.entries(action="template.activated"))


def test_unknown_versions_and_outdated_wishes_are_refused(stores: Stores, versions: tuple[str, str]) -> None:
    with pytest.raises(NotFound):
        activate_template("ada", "tpl_unknown", on=stores)
    with pytest.raises(NotFound):
        activate_template("nobody", versions[0], on=stores)
    seen = subject_version("ada", on=stores)
    activate_template("ada", versions[0], on=stores, if_version=seen)
    with pytest.raises(PreconditionFailed):
        activate_template("ada", versions[1], on=stores, if_version=seen)


def test_what_retired_long_ago_is_destroyed_and_said_so(stores: Stores, versions: tuple[str, str]) -> None:
    kept = Retention(retired=timedelta(days=30))

    def swept(days: int) -> int:
        later = replace(stores, clock=lambda: utc_now() + timedelta(days=days))
        return sweep(ListQueue(), on=later, policy=JobPolicy(), retention=kept).retired

    assert swept(29) == 0
    assert swept(31) == 1
    assert swept(31) == 0
    assert states(stores) == {versions[1]: TemplateState.ACTIVE}
    with stores.database.snapshot() as tx:
        (entry,) = tx.audit.entries(action="template.expired")
    assert entry.object_id == versions[0]

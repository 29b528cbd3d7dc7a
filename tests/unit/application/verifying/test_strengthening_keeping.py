"""Visits go into templates, and out again: on real stores, with visits that need no camera."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.keeping.audit import subject_digest, verify_audit
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.access import FailureCounter, FailureKind
from recon_service.application.records.strengthening import Proposal
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.templates.subjects import activate_template, list_templates, load_template
from recon_service.application.verifying.strengthening_keeping import (
    StrengtheningLimits,
    keep_visit,
    list_visits,
    may_strengthen,
    remove_visit,
)
from recon_service.domain.errors import NotFound
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Template
from tests.stacks import Stack
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import POSTERIOR, open_in

DAILY = StrengtheningLimits(per_day=1)
OFTEN = StrengtheningLimits(per_day=24)
KIOSK = "kiosk-1"
MOMENT = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "state", stack)
    run(opened.stores, ask(opened.stores))
    yield opened.stores
    opened.close()


def proposal(seed: int = 0, **changed: object) -> Proposal:
    rng = np.random.default_rng(seed)
    posterior = IdentityPosterior(POSTERIOR.space, rng.normal(size=2), np.eye(2) / 4)
    one = Proposal("depth/kinect2", 3, "table", "p", 3.8, False, 3, gain=1.5, posterior=posterior)
    return replace(one, **changed)  # type: ignore[arg-type]


def active(stores: Stores) -> Template:
    return load_template("ada", None, on=stores)


def kept(stores: Stores, what: Proposal, *, limits: StrengtheningLimits = OFTEN) -> str | None:
    return keep_visit(what, active(stores), api_key_id=KIOSK, limits=limits, on=stores)


def said(stores: Stores, action: str) -> list[str]:
    with stores.database.snapshot() as tx:
        return [entry.outcome for entry in tx.audit.entries(action=action)]


def content(stores: Stores, template: Template) -> bytes:
    """All that a template holds, but for the id and the moment that every version has of its own."""
    return stores.template_format.write(replace(template, template_id="t", created_at=MOMENT))


def test_a_visit_makes_a_version_whose_parent_can_be_taken_back(stores: Stores) -> None:
    before = active(stores)
    made = kept(stores, proposal())
    after = active(stores)
    assert after.template_id == made
    (visit,) = after.visits
    assert (visit.source, visit.captures, visit.score, visit.gain) == ("depth/kinect2", 3, 3.8, 1.5)
    assert (visit.policy, visit.calibration, visit.confirmed) == ("p", "table", False)
    assert visit.kiosk == stores.vault.digest("kiosk-key", KIOSK.encode())
    assert np.array_equal(visit.posterior.mean, proposal().posterior.mean)  # type: ignore[union-attr]
    assert np.array_equal(after.posterior.mean, before.posterior.mean), "the enrollment is not touched"
    row = next(row for row in list_templates("ada", on=stores) if row.template_id == made)
    assert (row.origin, row.state) == (TemplateOrigin.STRENGTHENING, TemplateState.ACTIVE)
    assert (row.parent_id, row.operation_id) == (before.template_id, None)
    assert said(stores, "template.strengthened") == [visit.visit_id]

    activate_template("ada", before.template_id, on=stores)
    assert content(stores, active(stores)) == content(stores, before)
    assert verify_audit(on=stores).broken is None


def test_without_one_of_its_visits_a_template_is_as_if_it_had_never_been(stores: Stores) -> None:
    enrolled = active(stores)
    for seed in (1, 2, 3):
        assert kept(stores, proposal(seed))
    with_all = active(stores)
    first, second, third = with_all.visits
    remove_visit("ada", second.visit_id, on=stores, actor="ops")
    without = active(stores)
    assert content(stores, without) == content(stores, replace(with_all, visits=(first, third)))
    assert list_visits("ada", on=stores)[0] == without.template_id
    for visit in (first, third):
        remove_visit("ada", visit.visit_id, on=stores)
    assert content(stores, active(stores)) == content(stores, enrolled)
    assert said(stores, "template.visit-removed") == [v.visit_id for v in (second, first, third)]
    with pytest.raises(NotFound):
        remove_visit("ada", second.visit_id, on=stores)
    with pytest.raises(NotFound):
        remove_visit("nobody", second.visit_id, on=stores)


def test_no_more_than_so_many_a_day_whatever_ops_took_out_meanwhile(stores: Stores) -> None:
    assert may_strengthen(active(stores), DAILY, now=utc_now())
    assert kept(stores, proposal(1), limits=DAILY)
    reference = active(stores)
    assert not may_strengthen(reference, DAILY, now=utc_now())
    assert kept(stores, proposal(2), limits=DAILY) is None
    remove_visit("ada", reference.visits[0].visit_id, on=stores)
    assert kept(stores, proposal(3), limits=DAILY) is None
    assert said(stores, "template.not-strengthened") == ["too-often"] * 2
    tomorrow = replace(stores, clock=lambda: utc_now() + timedelta(hours=25))
    assert may_strengthen(reference, DAILY, now=tomorrow.clock())
    assert kept(tomorrow, proposal(4), limits=DAILY)
    assert not may_strengthen(reference, StrengtheningLimits(per_day=0), now=tomorrow.clock())


def test_of_visits_at_one_moment_one_is_kept(stores: Stores) -> None:
    reference = active(stores)
    with ThreadPoolExecutor(6) as pool:
        made = list(
            pool.map(
                lambda seed: keep_visit(proposal(seed), reference, api_key_id=KIOSK, limits=OFTEN, on=stores),
                range(6),
            )
        )
    assert sum(one is not None for one in made) == 1
    assert len(active(stores).visits) == 1
    assert said(stores, "template.not-strengthened") == ["superseded"] * 5
    assert [row.state for row in list_templates("ada", on=stores)].count(TemplateState.ACTIVE) == 1


def test_a_visit_to_a_version_that_is_no_longer_in_force_is_not_kept(stores: Stores) -> None:
    reference = active(stores)
    run(stores, ask(stores))
    assert keep_visit(proposal(), reference, api_key_id=KIOSK, limits=OFTEN, on=stores) is None
    assert active(stores).visits == ()


def test_nothing_is_kept_while_the_subject_is_locked_out(stores: Stores) -> None:
    now = stores.clock()
    counter = FailureCounter(
        FailureKind.SUBJECT, subject_digest("ada", on=stores), 10, now, now + timedelta(minutes=5)
    )
    with stores.database.transaction() as tx:
        tx.limits.failures(counter.kind, counter.name, now=now)
        tx.limits.set_failures(counter)
    assert kept(stores, proposal()) is None
    assert said(stores, "template.not-strengthened") == ["locked-out"]


def test_refusals_are_in_the_audit_log_and_nothing_else_changes(stores: Stores) -> None:
    before = active(stores).template_id
    refused = proposal(reasons=("drift", "visits-disagree"), posterior=None, confirmed=True)
    assert kept(stores, refused) is None
    assert keep_visit(None, active(stores), api_key_id=KIOSK, limits=OFTEN, on=stores) is None
    assert said(stores, "template.not-strengthened") == ["drift visits-disagree confirmed"]
    assert active(stores).template_id == before


def test_no_more_visits_are_kept_than_the_policy_says(stores: Stores) -> None:
    for seed in range(5):
        kept(stores, proposal(seed, most_visits=3))
    means = [visit.posterior.mean[0] for visit in active(stores).visits]
    wanted = [proposal(seed).posterior.mean[0] for seed in (0, 3, 4)]  # type: ignore[union-attr]
    assert means == wanted, "the first stays, the oldest of the others goes"

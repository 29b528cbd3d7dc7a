"""Whatever happened to a template: a search holds a probe against the version that a verification takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.application.records.identifiers import new_id
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.searching.compared_versions import comparable, compared_versions
from recon_service.application.templates.subjects import activate_template, list_templates, load_template
from recon_service.application.verifying.reference_versions import verified_by
from recon_service.bootstrap import OpenStores
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.strengthening_parts import chosen_part, parts_of, require_comparable
from recon_service.domain.errors import ModelMismatch
from recon_service.domain.template import Decision, Template, VerificationResult
from recon_service.simulation import KIOSK_CAMERA
from tests.references import DEPTH, MODES, enroll, put_in_force, small_calibration, strengthen
from tests.stacks import Embedded
from tests.unit.application.stores import ScriptedCompute, open_in

CALIBRATIONS = [small_calibration(seed=n, name=name) for n, name in enumerate(("small", "other", "third"))]
VISIT = KioskVisit((b"depth",), KIOSK_CAMERA)


@dataclass
class Verifying(ScriptedCompute):
    """A process that compares under one calibration."""

    calibration: Calibration = CALIBRATIONS[0]

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        require_comparable(reference, self.calibration)
        return VerificationOutcome(VerificationResult(Decision.MATCH, None, (), "p"), "table", {})


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenStores]:
    made = open_in(tmp_path, Embedded())
    yield made
    made.close()


def something_happens(opened: OpenStores, rng: random.Random) -> None:
    """To ada's templates, out of all that may."""
    stores, active = opened.stores, load_template("ada", None, on=opened.stores)
    retired = sorted(
        (t for t in list_templates("ada", on=stores) if t.state is TemplateState.RETIRED),
        key=lambda t: str(t.activated_at),  # ids are not the same in every run
    )
    calibration = rng.choice(CALIBRATIONS).name
    version = replace(active, template_id=new_id("tpl"), calibration=calibration, model=f"of {calibration}")
    derived = rng.choice((TemplateOrigin.REENROLLMENT, TemplateOrigin.STRENGTHENING))
    match rng.choice((*["move"] * 5, "grow", "grow", "candidate", "anew", "back", "destroy")):
        case "move":
            put_in_force(version, stores, derived, parent_id=active.template_id)
        case "grow":
            same = replace(version, calibration=active.calibration, model=active.model)
            put_in_force(same, stores, TemplateOrigin.STRENGTHENING, parent_id=active.template_id)
        case "candidate":
            put_in_force(version, stores, derived, parent_id=active.template_id, activated=False)
        case "anew":
            put_in_force(version, stores, rng.choice((TemplateOrigin.ENROLLMENT, TemplateOrigin.IMPORT)))
        case "back" if retired:
            activate_template("ada", rng.choice(retired).template_id, on=stores)
        case "destroy" if retired:
            with opened.database.engine.begin() as connection:
                gone = {"id": rng.choice(retired).template_id}
                connection.execute(sa.text("DELETE FROM templates WHERE template_id = :id"), gone)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_takes_the_version_that_a_verification_takes(opened: OpenStores, seed: int) -> None:
    rng, stores = random.Random(seed), opened.stores
    enroll("bob", np.zeros(MODES), stores)
    enroll("ada", np.ones(MODES), stores)
    former = 0
    for _ in range(25):
        something_happens(opened, rng)
        active = load_template("ada", None, on=stores)
        for calibration in CALIBRATIONS:
            with stores.database.snapshot() as tx:
                page = tx.references.page(after="", limit=9)
                found = compared_versions(page, calibration, on=stores, tx=tx)
            assert found.unreadable == ()
            (one,) = [one for one in found.versions if one.version.subject_id == "ada"]
            assert one.template_id == active.template_id
            try:
                wanted, _ = verified_by(active, VISIT, on=stores, compute=Verifying(calibration=calibration))
            except ModelMismatch:
                assert one.version.template_id == active.template_id
                assert not comparable(one.version, calibration)
            else:
                assert one.version.template_id == wanted.template_id
                former += one.former
    assert former, "or nothing was tried"


def test_what_cannot_be_opened_is_counted_and_ends_nothing(opened: OpenStores) -> None:
    """A version that is damaged stands in for none, as little as what lies below it."""
    stores, (small, other, _) = opened.stores, CALIBRATIONS
    for name in ("ada", "bob", "cay"):
        enroll(name, np.ones(MODES), stores)
    for name in ("ada", "bob"):
        active = load_template(name, None, on=stores)
        moved = replace(active, template_id=new_id("tpl"), calibration="other", model="of other")
        put_in_force(moved, stores, TemplateOrigin.REENROLLMENT, parent_id=active.template_id)
    of_cay = load_template("cay", None, on=stores).template_id
    with opened.database.engine.begin() as connection:
        damaged = "UPDATE templates SET sealed = :nothing WHERE subject_id = :name AND state = :state"
        for name, state in (("ada", "retired"), ("cay", "active")):
            values = {"nothing": b"nothing", "name": name, "state": state}
            assert connection.execute(sa.text(damaged), values).rowcount == 1
    with stores.database.snapshot() as tx:
        page = tx.references.page(after="", limit=9)
        found = compared_versions(page, small, on=stores, tx=tx)
    assert found.unreadable == (of_cay,)
    by_name = {one.version.subject_id: one for one in found.versions}
    assert sorted(by_name) == ["ada", "bob"]
    assert [comparable(by_name[name].version, small) for name in ("ada", "bob")] == [False, True]
    assert not by_name["ada"].former
    assert by_name["bob"].former
    assert comparable(by_name["ada"].version, other)


def test_visits_may_be_compared_where_the_enrollment_may_not(opened: OpenStores) -> None:
    """Then they are all that is compared, in a search as in a verification."""
    stores, (small, *_) = opened.stores, CALIBRATIONS
    enroll("ada", np.ones(MODES), stores)
    grown = strengthen("ada", np.zeros(MODES), stores)
    assert len(parts_of(grown, small)) == 2
    mixed = replace(grown, calibration="other")
    (part,) = parts_of(mixed, small)
    assert part.kind == DEPTH
    assert comparable(mixed, small)
    assert chosen_part(mixed, part.kind, small) == part
    bare = replace(mixed, visits=())
    assert not comparable(bare, small)

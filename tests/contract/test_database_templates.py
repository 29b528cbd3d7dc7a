"""What every database does with the versions of a template."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recon_service.application.ports.database import Database
from recon_service.application.records.templates import TemplateOrigin, TemplateState
from recon_service.domain.errors import Conflict
from recon_service.storage.database import SqlDatabase
from tests.contract.databases import NOW, database, template, with_subject

__all__ = ["database"]


def test_an_operation_has_one_template(database: Database) -> None:
    with_subject(database, operations=2)
    with database.transaction() as tx:
        tx.templates.add(template(1))
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.templates.add(template(2, made_by=1))
    with database.transaction() as tx:
        tx.templates.add(template(3, made_by=2))
        assert [t.template_id for t in tx.templates.of_subject("ada")] == ["tpl_3", "tpl_1"]


def test_one_version_is_in_force_and_the_others_wait_or_rest(database: Database) -> None:
    with_subject(database, operations=3)
    later = NOW + timedelta(hours=1)
    derived = replace(template(4), operation_id=None, origin=TemplateOrigin.REENROLLMENT, parent_id="tpl_1")
    with database.transaction() as tx:
        for made in (template(1), template(2, made_by=2), derived):
            tx.templates.add(made)
        assert tx.templates.active("ada") is None, "nobody is compared with a candidate"
        before = tx.subjects.version("ada")
        assert tx.templates.activate("ada", "tpl_1", now=NOW)
        assert tx.templates.active("ada") == replace(
            template(1), state=TemplateState.ACTIVE, activated_at=NOW
        )
        assert tx.subjects.version("ada") == (before or 0) + 1
        assert tx.templates.activate("ada", "tpl_4", now=later)
        assert tx.templates.active("ada") == replace(derived, state=TemplateState.ACTIVE, activated_at=later)
    with database.transaction() as tx:
        states = {t.template_id: (t.state, t.retired_at) for t in tx.templates.of_subject("ada")}
        assert states == {
            "tpl_1": (TemplateState.RETIRED, later),
            "tpl_2": (TemplateState.CANDIDATE, None),
            "tpl_4": (TemplateState.ACTIVE, None),
        }
        version = tx.subjects.version("ada")
        assert tx.templates.activate("ada", "tpl_4", now=NOW), "it is already"
        assert not tx.templates.activate("ada", "tpl_9", now=NOW)
        assert not tx.templates.activate("bob", "tpl_1", now=NOW)
        assert tx.subjects.version("ada") == version, "nothing changed"
        assert tx.templates.activate("ada", "tpl_1", now=later)
        assert tx.templates.active("ada") == replace(
            template(1), state=TemplateState.ACTIVE, activated_at=later
        ), "bit-equal, as it was"


def test_the_database_itself_holds_that_one_version_is_in_force(database: Database) -> None:
    with_subject(database, operations=2)
    one, two = (replace(template(n, made_by=n), state=TemplateState.ACTIVE) for n in (1, 2))
    with database.transaction() as tx:
        tx.templates.add(one)
    with pytest.raises(Conflict), database.transaction() as tx:
        tx.templates.add(two)


def test_retired_versions_are_destroyed_by_age_and_nothing_else_is(database: Database) -> None:
    with_subject(database, operations=4)
    with database.transaction() as tx:
        for n in (1, 2, 3, 4):
            tx.templates.add(template(n, made_by=n))
        for n in (1, 2, 3):  # 1 and 2 retire one after the other
            tx.templates.activate("ada", f"tpl_{n}", now=NOW + timedelta(days=n))
    between = NOW + timedelta(days=2, hours=12)
    with database.transaction() as tx:
        version = tx.subjects.version("ada")
        assert tx.templates.destroy_retired(retired_before=between, limit=9) == [("ada", "tpl_1")]
        assert tx.subjects.version("ada") == (version or 0) + 1
        assert tx.templates.destroy_retired(retired_before=between, limit=9) == []
    with database.transaction() as tx:
        far = NOW + timedelta(days=9)
        assert tx.templates.destroy_retired(retired_before=far, limit=9) == [("ada", "tpl_2")]
        assert [t.template_id for t in tx.templates.of_subject("ada")] == ["tpl_4", "tpl_3"]


def test_nothing_is_destroyed_while_somebody_exchanges_versions(database: SqlDatabase) -> None:
    """Else the one in force retires, and the former one, which is to take its place, is gone."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with_subject(database, operations=2)
    with database.transaction() as tx:
        for n in (1, 2):
            tx.templates.add(template(n, made_by=n))
            tx.templates.activate("ada", f"tpl_{n}", now=NOW + timedelta(days=n))
    far = NOW + timedelta(days=99)
    with database.transaction() as exchanging:
        assert exchanging.subjects.key("ada", lock=True) is not None
        assert exchanging.templates.get("ada", "tpl_1") is not None
        with database.transaction() as sweeping:
            assert sweeping.templates.destroy_retired(retired_before=far, limit=9) == []
        assert exchanging.templates.activate("ada", "tpl_1", now=NOW)
    with database.transaction() as tx:
        active = tx.templates.active("ada")
        assert active is not None
        assert active.template_id == "tpl_1"


def test_an_enrollment_is_overtaken_by_a_later_one_that_was_in_force(database: Database) -> None:
    with_subject(database, operations=3)
    with database.transaction() as tx:
        assert not tx.operations.overtaken("op_1")
        tx.templates.add(template(2, made_by=2))
        assert not tx.operations.overtaken("op_1"), "it is held back"
        tx.templates.activate("ada", "tpl_2", now=NOW)
        assert [tx.operations.overtaken(f"op_{n}") for n in (1, 2, 3)] == [True, False, False]
        tx.templates.add(template(3, made_by=3))
        tx.templates.activate("ada", "tpl_3", now=NOW)
        assert [tx.operations.overtaken(f"op_{n}") for n in (1, 2, 3)] == [True, True, False]


def test_the_version_of_a_subject_grows_with_its_templates(database: Database) -> None:
    with_subject(database)
    with database.transaction() as tx:
        before = tx.subjects.version("ada")
        tx.templates.add(template())
        after = tx.subjects.version("ada")
        assert tx.subjects.version("bob") is None
    assert (before, after) == (1, 2)

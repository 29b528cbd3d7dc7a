"""What every index of references does while a fleet moves from one model to another."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import numpy as np
import sqlalchemy as sa

from recon_service.application.ports.references import ReferenceIndex
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.templates import TemplateOrigin
from recon_service.application.searching.reference_feed import ReferencesNotReady
from recon_service.application.templates.subjects import (
    activate_template,
    delete_subject,
    list_templates,
    load_template,
)
from recon_service.bootstrap import OpenStores
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.search.pgvector.index import PgvectorIndex
from tests.contract.reference_indices import ANY, CALIBRATION, OTHER, made, new_index, sees, stores
from tests.references import DEPTH, MODES, SELFIES, enroll, move, probe, put_in_force, strengthen

__all__ = ["made", "stores"]

SEARCHES = 6


def test_processes_of_two_models_see_everybody_whom_a_verification_would(
    made: tuple[OpenStores, str], stores: Stores
) -> None:
    """A fleet moves: those that were open all the time, and those that start in the middle of it."""
    rng = np.random.default_rng(21)
    names = [f"person-{n}" for n in range(7)]
    before = {name: (rng.standard_normal(MODES), SELFIES) for name in names}
    after = {name: (rng.standard_normal(MODES), SELFIES) for name in names}
    for name, (mean, _) in before.items():
        enroll(name, mean, stores)
    strengthen("person-1", (seen := rng.standard_normal(MODES)), stores)
    before["person-1"] = seen, DEPTH
    old, new = [new_index(made)], [new_index(made, OTHER)]

    def all_see(old_sees: dict[str, tuple[Array, EvidenceKind]], new_sees: list[str], people: int) -> None:
        old.append(new_index(made))
        new.append(new_index(made, OTHER))
        for index in old:
            sees(index, stores, CALIBRATION, old_sees, people - len(old_sees))
        for index in new:
            sees(index, stores, OTHER, {name: after[name] for name in new_sees}, people - len(new_sees))

    all_see(before, [], 7)
    for name in names[:4]:
        move(name, after[name][0], stores, "other")
    all_see(before, names[:4], 7)
    # A visit, before a process of the new model, strengthens the new version: the old one stands below it.
    grown = load_template("person-0", None, on=stores)
    again = replace(grown, template_id=new_id("tpl"), quality=81.0)
    put_in_force(again, stores, TemplateOrigin.STRENGTHENING, parent_id=grown.template_id)
    all_see(before, names[:4], 7)
    # A candidate of the old model, which nobody has judged, and an enrollment, after which nothing counts.
    judged = replace(load_template("person-6", None, on=stores), template_id=new_id("tpl"))
    put_in_force(judged, stores, TemplateOrigin.REENROLLMENT, activated=False)
    anew = replace(load_template("person-2", None, on=stores), template_id=new_id("tpl"))
    put_in_force(anew, stores, TemplateOrigin.ENROLLMENT, parent_id=anew.template_id)
    left = {name: part for name, part in before.items() if name != "person-2"}
    all_see(left, names[:4], 7)
    # Back for one, and one is deleted.
    former = next(t for t in list_templates("person-3", on=stores) if t.calibration == "small")
    activate_template("person-3", former.template_id, on=stores)
    delete_subject("person-1", on=stores)
    left.pop("person-1")
    all_see(left, ["person-0", "person-2"], 6)


def test_a_former_version_that_is_destroyed_is_in_no_index(
    made: tuple[OpenStores, str], stores: Stores
) -> None:
    rng = np.random.default_rng(22)
    names = ["ada", "bob", "cay", "dan"]
    before = {name: (rng.standard_normal(MODES), SELFIES) for name in names}
    after = {name: (rng.standard_normal(MODES), SELFIES) for name in names}
    for name in names:
        enroll(name, before[name][0], stores)
        if name != "dan":
            move(name, after[name][0], stores, "other")
    between = load_template("bob", None, on=stores)
    put_in_force(
        replace(between, template_id=new_id("tpl"), quality=81.0),
        stores,
        TemplateOrigin.STRENGTHENING,
        parent_id=between.template_id,
    )
    old, new = new_index(made), new_index(made, OTHER)
    moved = {name: after[name] for name in ("ada", "bob", "cay")}
    sees(old, stores, CALIBRATION, before)
    sees(new, stores, OTHER, moved, 1)
    engine = made[0].database.engine
    with engine.begin() as connection:  # of another's chain, one in the middle
        connection.execute(
            sa.text("DELETE FROM templates WHERE template_id = :id"), {"id": between.template_id}
        )
    left = {name: before[name] for name in ("ada", "cay", "dan")}
    sees(old, stores, CALIBRATION, left, 1)
    sees(new, stores, OTHER, moved, 1)
    with stores.database.transaction() as tx:
        gone = tx.templates.destroy_retired(retired_before=utc_now() + timedelta(days=1), limit=9)
        assert sorted(subject for subject, _ in gone) == ["ada", "bob", "cay"]
    if isinstance(old, PgvectorIndex):
        with engine.connect() as connection:
            pairs = connection.execute(
                sa.text("SELECT number FROM search_pairs WHERE probe LIKE '%small%' AND reference <> '-'")
            ).scalars()
            (kept,) = [
                connection.execute(sa.text(f"SELECT template_id FROM search_vectors_{n}")).scalars().all()
                for n in pairs
            ]
        assert kept == [load_template("dan", None, on=stores).template_id], "gone with the version itself"
    sees(old, stores, CALIBRATION, {"dan": before["dan"]}, 3)
    sees(new, stores, OTHER, moved, 1)


def test_nobody_is_lost_or_seen_twice_while_they_move(made: tuple[OpenStores, str], stores: Stores) -> None:
    """Versions are exchanged, back and forth, and destroyed while processes of both models search."""
    rng = np.random.default_rng(23)
    means = {f"person-{n}": rng.standard_normal((2, MODES)) for n in range(6)}
    for name, (mean, _) in means.items():
        enroll(name, mean, stores)
    searched_enough = threading.Event()

    def search(calibration: Calibration, index: ReferenceIndex) -> list[str]:
        faults: list[str] = []
        left = SEARCHES
        while left and not faults:
            try:
                found = index.search(probe(means["person-0"][0]), count=50, least_llr=ANY)
            except ReferencesNotReady:
                continue
            with stores.database.snapshot() as tx:
                of = [t.key.subject_id for t in tx.references.of([hit.template_id for hit in found.hits])]
            # With pgvector, whoever is exchanged between catching up and scanning is in neither.
            lost = made[1] == "memory" and calibration is CALIBRATION and found.searched != len(means)
            if lost or len(set(of)) != len(of) or found.searched + found.not_comparable > len(means):
                faults.append(f"{found.searched} searched, found {sorted(of)}")
            left -= 1
        return faults

    def come_and_go(subjects: list[str]) -> None:
        moved = [(load_template(name, None, on=stores), name) for name in subjects]
        later = [(move(name, means[name][1], stores, "other"), name) for name in subjects]
        while not searched_enough.is_set():
            for template, name in (*moved, *later):
                activate_template(name, template.template_id, on=stores)
                time.sleep(0.005)  # a search must find a moment in which nobody is at it

    with ThreadPoolExecutor(4) as pool:
        going = [pool.submit(come_and_go, list(means)[k::2]) for k in range(2)]
        searching = [pool.submit(search, one, new_index(made, one)) for one in (CALIBRATION, OTHER)]
        try:
            faults = [fault for one in searching for fault in one.result()]
        finally:
            searched_enough.set()
        for one in going:
            one.result()
    assert faults == []
    sees(new_index(made), stores, CALIBRATION, {name: (mean, SELFIES) for name, (mean, _) in means.items()})
    sees(new_index(made, OTHER), stores, OTHER, {name: (m, SELFIES) for name, (_, m) in means.items()})

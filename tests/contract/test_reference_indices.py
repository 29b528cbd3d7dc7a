"""What every index of references does. A new one joins the list and passes all of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.application.ports.references import ReferenceIndex
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.identifiers import new_id
from recon_service.application.records.templates import TemplateOrigin
from recon_service.application.searching.reference_feed import ReferenceFeed, ReferencesNotReady
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
from recon_service.domain.errors import ModelMismatch
from recon_service.search.memory_index import MemoryIndex
from recon_service.search.pgvector.index import PgvectorIndex
from recon_service.search.pgvector.tables import PgvectorMissing
from recon_service.search.pgvector.turned_spaces import secret_turn
from tests.references import (
    DEPTH,
    LANDMARKS,
    MODES,
    SELFIES,
    by_comparing_with_all,
    enroll,
    move,
    probe,
    put_in_force,
    small_calibration,
    strengthen,
)
from tests.stacks import Embedded, make_stack
from tests.unit.application.stores import open_in

CALIBRATION = small_calibration()
SEARCHES = 6
OTHER = small_calibration(seed=1, name="other")
"""Neither accepts what was made under the other."""
ANY = -np.inf


@pytest.fixture(params=["memory on embedded", "memory on production", "pgvector on production"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[OpenStores, str]]:
    name, stack_name = request.param.split(" on ")
    with make_stack(stack_name, request) as stack:
        opened = open_in(tmp_path, stack)
        yield opened, name
        opened.close()


def new_index(made: tuple[OpenStores, str], calibration: Calibration = CALIBRATION) -> ReferenceIndex:
    opened, name = made
    if name == "pgvector":
        return PgvectorIndex(opened.stores, opened.database.engine, calibration, rank=3)
    return MemoryIndex(opened.stores, calibration, rank=3, block_rows=4)


@pytest.fixture
def postgres_made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[OpenStores, str]]:
    with make_stack("production", request) as stack:
        opened = open_in(tmp_path, stack)
        yield opened, "pgvector"
        opened.close()


@pytest.fixture
def index(made: tuple[OpenStores, str]) -> Iterator[ReferenceIndex]:
    one = new_index(made)
    yield one
    one.close()


@pytest.fixture
def stores(made: tuple[OpenStores, str]) -> Stores:
    return made[0].stores


def names(index: ReferenceIndex, stores: Stores, mean: np.ndarray, **options: object) -> list[str]:  # type: ignore[type-arg]
    asked = {"count": 50, "least_llr": ANY, **options}
    found = index.search(probe(mean), **asked)  # type: ignore[arg-type]
    with stores.database.snapshot() as tx:
        of = {r.template_id: r.key.subject_id for r in tx.references.of([h.template_id for h in found.hits])}
    return [of[hit.template_id] for hit in found.hits]


def test_the_ranking_is_that_of_comparing_with_everybody(index: ReferenceIndex, stores: Stores) -> None:
    rng = np.random.default_rng(3)
    enrolled = [
        (f"person-{n}", rng.standard_normal(MODES), SELFIES if n % 3 else LANDMARKS) for n in range(30)
    ]
    for name, mean, kind in enrolled:
        enroll(name, mean, stores, kind=kind)
    for _ in range(5):
        mean = rng.standard_normal(MODES)
        wanted = by_comparing_with_all(probe(mean), enrolled, CALIBRATION)
        assert names(index, stores, mean, count=7) == [name for name, _ in wanted[:7]]
        result = index.search(probe(mean), count=7, least_llr=ANY)
        np.testing.assert_allclose(
            [hit.llr for hit in result.hits], [llr for _, llr in wanted[:7]], atol=1e-9
        )
        assert (result.searched, result.not_comparable) == (30, 0)
        floor = wanted[3][1] - 1e-9
        assert names(index, stores, mean, least_llr=floor) == [name for name, _ in wanted[:4]]


def test_what_is_committed_is_found_and_what_goes_is_not(
    index: ReferenceIndex, stores: Stores, made: tuple[OpenStores, str]
) -> None:
    """Enrollment, another version, its activation taken back, deletion; also by an index that was open all
    the time, and by one made afterward.
    """
    rng = np.random.default_rng(5)
    first, second, other = rng.standard_normal((3, MODES))
    assert names(index, stores, first) == []
    enroll("ada", first, stores)
    assert names(index, stores, first) == ["ada"]
    enroll("bob", other, stores)
    enroll("ada", second, stores)
    another = new_index(made)
    for one in (index, another):
        assert sorted(names(one, stores, first)) == ["ada", "bob"], "one active template each"
        found = one.search(probe(second), count=9, least_llr=ANY)
        in_force = [("ada", second, SELFIES), ("bob", other, SELFIES)]
        wanted = by_comparing_with_all(probe(second), in_force, CALIBRATION)
        np.testing.assert_allclose([hit.llr for hit in found.hits], [llr for _, llr in wanted], atol=1e-9)
    old = next(t for t in list_templates("ada", on=stores) if t.state.value == "retired")
    activate_template("ada", old.template_id, on=stores)
    for one in (index, another):
        assert old.template_id in {
            h.template_id for h in one.search(probe(first), count=9, least_llr=ANY).hits
        }
    delete_subject("ada", on=stores)
    for one in (index, another, new_index(made)):
        assert names(one, stores, first) == ["bob"]
        assert one.search(probe(first), count=9, least_llr=ANY).searched == 1


def test_nothing_of_a_deleted_subject_is_left_in_the_database(
    index: ReferenceIndex, stores: Stores, made: tuple[OpenStores, str]
) -> None:
    """Before any search comes: its vectors go in the transaction of the deletion."""
    enroll("somebody", np.ones(MODES), stores)
    names(index, stores, np.ones(MODES))
    delete_subject("somebody", on=stores)
    with made[0].database.engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            text = str(connection.execute(sa.text(f'SELECT * FROM "{table}"')).all())
            assert "somebody" not in text
            if table.startswith("search_vectors"):
                assert text == "[]"


def test_what_cannot_be_compared_is_counted_and_not_found(index: ReferenceIndex, stores: Stores) -> None:
    enroll("ada", np.ones(MODES), stores)
    enroll("bob", np.ones(MODES), stores, space="another")
    result = index.search(probe(np.ones(MODES)), count=9, least_llr=ANY)
    assert (len(result.hits), result.searched, result.not_comparable) == (1, 1, 1)
    with pytest.raises(ModelMismatch):
        index.search(probe(np.ones(MODES + 1)), count=1, least_llr=ANY)


def test_any_kind_of_probe_may_come(index: ReferenceIndex, stores: Stores) -> None:
    rng = np.random.default_rng(8)
    for n in range(6):
        enroll(f"person-{n}", rng.standard_normal(MODES), stores)
    for kind in (DEPTH, SELFIES, DEPTH):
        assert len(index.search(probe(rng.standard_normal(MODES), kind), count=9, least_llr=ANY).hits) == 6


def test_a_template_is_compared_by_the_part_that_a_verification_takes(
    index: ReferenceIndex, stores: Stores
) -> None:
    """What a depth camera saw on a visit is compared with depth, and the enrollment with pictures; also when
    the index has seen the template before, and after one of others went.
    """
    rng = np.random.default_rng(9)
    means, seen = rng.standard_normal((2, 6, MODES))
    for n in range(6):
        enroll(f"person-{n}", means[n], stores)
    names(index, stores, means[0])
    for n in range(4):
        strengthen(f"person-{n}", seen[n], stores)
    delete_subject("person-0", on=stores)
    parts = {f"person-{n}": (seen[n], DEPTH) if n < 4 else (means[n], SELFIES) for n in range(1, 6)}
    mean = rng.standard_normal(MODES)
    by_depth = [(name, *part) for name, part in parts.items()]
    by_selfies = [(f"person-{n}", means[n], SELFIES) for n in range(1, 6)]
    for kind, enrolled in ((DEPTH, by_depth), (SELFIES, by_selfies)):
        wanted = by_comparing_with_all(probe(mean, kind), enrolled, CALIBRATION)
        found = index.search(probe(mean, kind), count=9, least_llr=ANY)
        np.testing.assert_allclose([hit.llr for hit in found.hits], [llr for _, llr in wanted], atol=1e-9)


def test_a_log_that_was_shortened_is_read_from_the_beginning(index: ReferenceIndex, stores: Stores) -> None:
    enroll("ada", np.ones(MODES), stores)
    names(index, stores, np.ones(MODES))
    enroll("bob", np.zeros(MODES), stores)
    delete_subject("ada", on=stores)
    enroll("eve", -np.ones(MODES), stores)
    with stores.database.transaction() as tx:
        assert tx.references.forget_changes(before=tx.references.head()) > 0
    assert sorted(names(index, stores, np.ones(MODES))) == ["bob", "eve"]
    assert list(ReferenceFeed(stores, CALIBRATION).since(None))[-1].complete


def test_nothing_is_missed_while_many_enroll_and_delete_at_once(
    index: ReferenceIndex, stores: Stores
) -> None:
    """Changes are numbered in the order of their commits: a search in between never skips one that commits
    later under a smaller number.
    """
    rng = np.random.default_rng(11)
    means = {f"person-{n}": rng.standard_normal(MODES) for n in range(24)}
    done = threading.Event()
    faults: list[Exception] = []

    def come_and_go(subjects: list[str]) -> None:
        for name in subjects:
            enroll(name, means[name], stores)
            enroll(name, -means[name], stores)
        for name in subjects[::3]:
            delete_subject(name, on=stores)

    def search() -> None:
        while not done.is_set():
            try:
                index.search(probe(means["person-0"]), count=5, least_llr=ANY)
            except Exception as fault:
                faults.append(fault)
                return

    searching = threading.Thread(target=search)
    searching.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, [list(means)[k::4] for k in range(4)]))
    done.set()
    searching.join()
    assert faults == []
    left = [name for k in range(4) for n, name in enumerate(list(means)[k::4]) if n % 3]
    wanted = by_comparing_with_all(
        probe(means["person-1"]), [(name, -means[name], SELFIES) for name in left], CALIBRATION
    )
    assert names(index, stores, means["person-1"]) == [name for name, _ in wanted]


def sees(
    index: ReferenceIndex,
    stores: Stores,
    calibration: Calibration,
    enrolled: dict[str, tuple[Array, EvidenceKind]],
    missing: int = 0,
) -> None:
    """The index finds just these, each once, by the template in force, and compares with what is given."""
    asked = np.linspace(-1.0, 1.0, MODES)
    found = index.search(probe(asked), count=50, least_llr=ANY)
    assert (found.searched, found.not_comparable) == (len(enrolled), missing)
    of = {load_template(name, None, on=stores).template_id: name for name in enrolled}
    wanted = by_comparing_with_all(
        probe(asked), [(name, *part) for name, part in enrolled.items()], calibration
    )
    assert [of[hit.template_id] for hit in found.hits] == [name for name, _ in wanted]
    np.testing.assert_allclose([hit.llr for hit in found.hits], [llr for _, llr in wanted], atol=1e-9)


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


def test_where_all_are_of_one_model_retention_changes_nothing(index: ReferenceIndex, stores: Stores) -> None:
    enroll("ada", np.ones(MODES), stores)
    enroll("ada", -np.ones(MODES), stores)
    strengthen("ada", np.zeros(MODES), stores)
    names(index, stores, np.ones(MODES))
    with stores.database.transaction() as tx:
        before = tx.references.head()
        assert len(tx.templates.destroy_retired(retired_before=utc_now() + timedelta(days=1), limit=9)) == 2
    with stores.database.snapshot() as tx:
        assert tx.references.head() == before
    assert names(index, stores, np.ones(MODES)) == ["ada"]


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


def test_vectors_that_nobody_searches_are_emptied(postgres_made: tuple[OpenStores, str]) -> None:
    """Those of another model stay as long as its processes search; also in tables of before, which did not
    say when they were searched.
    """
    opened, stores = postgres_made[0], postgres_made[0].stores
    enroll("ada", np.ones(MODES), stores)
    old, new = new_index(postgres_made), new_index(postgres_made, OTHER)
    kept = "SELECT made_with FROM search_probes WHERE made_with <> ''"
    for _ in range(2):
        for index in (old, new):
            index.search(probe(np.ones(MODES)), count=1, least_llr=ANY)
    with opened.database.engine.begin() as connection:
        assert len(connection.scalars(sa.text(kept)).all()) == 2
        connection.execute(sa.text("ALTER TABLE search_probes DROP COLUMN used_at"))
    new = new_index(postgres_made, OTHER)
    with opened.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE search_probes SET used_at = now() - interval '2 days'"))
    new.search(probe(np.ones(MODES)), count=1, least_llr=ANY)
    with opened.database.engine.begin() as connection:
        (left,) = connection.scalars(sa.text(kept))
        assert left.startswith("other")
        tables = connection.execute(
            sa.text("SELECT number FROM search_pairs WHERE probe LIKE '%small%'")
        ).scalars()
        assert not any(
            connection.scalar(sa.text(f"SELECT count(*) FROM search_vectors_{number}")) for number in tables
        )
    assert names(old, stores, np.ones(MODES)) == ["ada"], "who comes back makes them anew"


def test_pgvector_is_asked_of_a_postgresql(tmp_path: Path) -> None:
    opened = open_in(tmp_path, Embedded())
    with pytest.raises(PgvectorMissing, match="PostgreSQL") as caught:
        PgvectorIndex(opened.stores, opened.database.engine, CALIBRATION)
    assert "RECON_IDENTIFICATION" in caught.value.next_step
    opened.close()


def test_the_turn_is_orthogonal_and_the_secret_is_all_of_it() -> None:
    turn = secret_turn("a secret", 7)
    np.testing.assert_allclose(turn @ turn.T, np.eye(7), atol=1e-12)
    np.testing.assert_array_equal(turn, secret_turn("a secret", 7))
    assert np.abs(turn - secret_turn("another", 7)).max() > 0.1

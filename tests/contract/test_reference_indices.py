"""What every index of references does. A new one joins the list and passes all of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.application.ports.references import ReferenceIndex
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.searching.reference_feed import ReferenceFeed
from recon_service.application.templates.subjects import (
    activate_template,
    delete_subject,
    list_templates,
    load_template,
)
from recon_service.bootstrap import OpenStores
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.comparison.strengthening_parts import chosen_part
from recon_service.domain.errors import ModelMismatch
from recon_service.search.memory_index import MemoryIndex
from tests.contract.reference_indices import ANY, CALIBRATION, index, made, names, new_index, stores
from tests.references import (
    DEPTH,
    LANDMARKS,
    MODES,
    SELFIES,
    by_comparing_with_all,
    enroll,
    probe,
    strengthen,
    with_general_pairs,
)

__all__ = ["index", "made", "stores"]


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


def test_names_of_cameras_cost_nothing_and_change_nothing(
    stores: Stores, made: tuple[OpenStores, str]
) -> None:
    """Callers may call their camera as they like. Vectors are kept for those that something is known of: by
    the calibration, or because a reference holds visits before one of that name.
    """
    calibration = with_general_pairs(CALIBRATION)
    rng = np.random.default_rng(13)
    for n in range(5):
        enroll(f"person-{n}", rng.standard_normal(MODES), stores)
    strengthen("person-0", rng.standard_normal(MODES), stores)
    strengthen("person-1", rng.standard_normal(MODES), stores, source="depth/kiosk-7")
    index = new_index(made, calibration)

    def asked(camera: str, captures: int) -> None:
        one = probe(rng.standard_normal(MODES), EvidenceKind("depth", camera, captures))
        wanted = {}
        for n in range(5):
            template = load_template(f"person-{n}", None, on=stores)
            part = chosen_part(template, one.kind, calibration)
            means = part.posterior.mean[None], one.posterior.mean[None]
            wanted[template.template_id] = float(calibration.llr(part.kind, one.kind, *means)[0][0])
        found = index.search(one, count=9, least_llr=ANY)
        assert {hit.template_id: hit.llr for hit in found.hits} == pytest.approx(wanted, abs=1e-9)

    for n in range(30):
        asked(f"kiosk-{n}", 1 + n % 10)
        asked("kinect2", 1 + n % 10)
    strengthen("person-2", rng.standard_normal(MODES), stores, source="depth/kiosk-8")
    for n in range(7, 10):
        asked(f"kiosk-{n}", 3)
    delete_subject("person-1", on=stores)
    enroll("person-1", rng.standard_normal(MODES), stores)
    for n in range(7, 10):
        asked(f"kiosk-{n}", 3)
    if isinstance(index, MemoryIndex):
        assert len(index._sides) <= 4
    else:
        with made[0].database.engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM search_probes")) <= 4


def test_what_cannot_be_opened_is_counted_and_seen_as_soon_as_it_can_be(
    stores: Stores, made: tuple[OpenStores, str]
) -> None:
    for n in range(3):
        enroll(f"person-{n}", np.full(MODES, float(n)), stores)
    closed = load_template("person-1", None, on=stores).template_id
    change = sa.text("UPDATE templates SET sealed = :sealed WHERE template_id = :id")
    engine = made[0].database.engine
    with engine.begin() as connection:
        kept = connection.scalar(
            sa.text("SELECT sealed FROM templates WHERE template_id = :id"), {"id": closed}
        )
        connection.execute(change, {"sealed": b"of another key", "id": closed})
    index = new_index(made)

    def counts() -> tuple[int, int, int]:
        found = index.search(probe(np.ones(MODES)), count=9, least_llr=ANY)
        assert len(found.hits) == found.searched
        return found.searched, found.not_comparable, found.unreadable

    assert counts() == (2, 0, 1)
    with engine.begin() as connection:
        connection.execute(change, {"sealed": kept, "id": closed})
    assert counts() == (2, 0, 1), "not opened again by every search"
    if isinstance(index, MemoryIndex):
        index._again_at = 0.0
    else:
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE search_probes SET used_at = now() - interval '2 minutes'"))
    assert counts() == (3, 0, 0)
    delete_subject("person-1", on=stores)
    assert counts() == (2, 0, 0)


def test_a_log_that_was_shortened_is_read_from_the_beginning(index: ReferenceIndex, stores: Stores) -> None:
    enroll("ada", np.ones(MODES), stores)
    names(index, stores, np.ones(MODES))
    enroll("bob", np.zeros(MODES), stores)
    delete_subject("ada", on=stores)
    enroll("eve", -np.ones(MODES), stores)
    with stores.database.transaction() as tx:
        assert tx.references.forget_changes(before=tx.references.head(), limit=1000) > 0
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

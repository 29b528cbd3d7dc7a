"""What the index in PostgreSQL does besides what every index does."""

from __future__ import annotations

import functools
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.application.searching.reference_feed import ReferenceChange, ReferenceFeed
from recon_service.application.templates.subjects import delete_subject
from recon_service.bootstrap import OpenStores, open_stores
from recon_service.domain.errors import InvalidValue
from recon_service.search.pgvector.index import PgvectorIndex
from recon_service.search.pgvector.tables import PgvectorMissing
from recon_service.settings import Settings
from tests.contract.reference_indices import ANY, CALIBRATION, OTHER, names, new_index
from tests.references import MODES, enroll, probe
from tests.servers.postgres import Postgres, binaries
from tests.stacks import Embedded, make_stack, settings_for
from tests.unit.application.stores import open_in


def open_at(environment: dict[str, str], folder: Path) -> OpenStores:
    values = {name.removeprefix("RECON_").lower(): value for name, value in environment.items()}
    return open_stores(Settings.model_validate({**values, "state_dir": folder}))


@pytest.fixture
def postgres_made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[OpenStores, str]]:
    with make_stack("production", request) as stack:
        opened = open_in(tmp_path, stack)
        yield opened, "pgvector"
        opened.close()


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
        connection.execute(sa.text("DROP TABLE search_sources"))
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


def test_searches_that_need_a_second_connection_do_not_wait_for_each_other(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """As many connections as one search needs, and eight that search at once while people come."""
    with make_stack("production", request) as stack:
        opened = open_stores(settings_for(stack, tmp_path, database_connections=2))
        rng = np.random.default_rng(17)
        enroll("person-0", rng.standard_normal(MODES), opened.stores)
        index = PgvectorIndex(opened.stores, opened.database.engine, CALIBRATION, rank=3)

        def search(_: int) -> list[int]:
            asked = probe(rng.standard_normal(MODES))
            return [index.search(asked, count=5, least_llr=ANY).searched for _ in range(4)]

        with ThreadPoolExecutor(8) as pool:
            searching = [pool.submit(search, n) for n in range(8)]
            for n in range(1, 4):
                enroll(f"person-{n}", rng.standard_normal(MODES), opened.stores)
            counts = [count for one in searching for count in one.result()]
        assert set(counts) <= {1, 2, 3, 4}
        assert search(0) == [4] * 4
        opened.close()


def test_one_connection_is_too_few_and_the_start_says_so(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with make_stack("production", request) as stack:
        opened = open_stores(settings_for(stack, tmp_path, database_connections=1))
        with pytest.raises(InvalidValue) as caught:
            PgvectorIndex(opened.stores, opened.database.engine, CALIBRATION)
        assert "RECON_DATABASE_CONNECTIONS" in caught.value.next_step
        opened.close()


def test_a_first_filling_may_take_longer_than_a_transaction_may_idle(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    class Slowly(ReferenceFeed):
        def since(self, sequence: int | None, *, last: str = "") -> Iterator[ReferenceChange]:
            for change in super().since(sequence, last=last):
                yield change
                for _ in range(4):
                    time.sleep(0.3)
                    yield ReferenceChange((), (), change.sequence, last=change.last)

    with make_stack("production", request) as stack:
        # Half a second in which nothing happens ends a transaction.
        opened = open_stores(settings_for(stack, tmp_path, database_statement_seconds=0.25))
        enroll("ada", np.ones(MODES), opened.stores)
        index = PgvectorIndex(opened.stores, opened.database.engine, CALIBRATION, rank=3)
        index._feed = Slowly(opened.stores, CALIBRATION)
        assert names(index, opened.stores, np.ones(MODES)) == ["ada"]
        opened.close()


DUMPS = {
    "whole": (),
    "without vectors": ("--exclude-table=search_*",),
    "without their contents": ("--exclude-table-data=search_*",),
}


@pytest.mark.parametrize("dump", DUMPS)
def test_a_restore_with_and_without_vectors_deletes_and_searches(
    postgres: Postgres, request: pytest.FixtureRequest, tmp_path: Path, dump: str
) -> None:
    """As docs/operations.md and docs/identification.md say; deletions come before the first search does."""
    with make_stack("production", request) as stack:
        environment = stack.environment()
        url = environment["RECON_DATABASE_URL"].replace("+psycopg", "")
        opened = open_at(environment, tmp_path)
        for name in ("ada", "bob", "cay"):
            enroll(name, np.ones(MODES), opened.stores)
        assert len(names(new_index((opened, "pgvector")), opened.stores, np.ones(MODES))) == 3
        opened.close()
        file = tmp_path / "recon.dump"
        run = functools.partial(subprocess.run, check=True, timeout=60, stdout=subprocess.DEVNULL)
        run([binaries() / "pg_dump", "--format=custom", f"--file={file}", *DUMPS[dump], url])
        with postgres.database() as new:
            plain = new.replace("+psycopg", "")
            run([binaries() / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={plain}", file])
            opened = open_at({**environment, "RECON_DATABASE_URL": new}, tmp_path)
            delete_subject("ada", on=opened.stores)
            index = new_index((opened, "pgvector"))
            assert sorted(names(index, opened.stores, np.ones(MODES))) == ["bob", "cay"]
            delete_subject("bob", on=opened.stores)
            enroll("dan", np.ones(MODES), opened.stores)
            assert sorted(names(index, opened.stores, np.ones(MODES))) == ["cay", "dan"]
            opened.close()


def test_who_changes_to_another_setting_can_remove_the_vectors(postgres_made: tuple[OpenStores, str]) -> None:
    opened, stores = postgres_made[0], postgres_made[0].stores
    enroll("ada", np.ones(MODES), stores)
    index = new_index(postgres_made)
    assert names(index, stores, np.ones(MODES)) == ["ada"]
    text = (Path(__file__).parents[2] / "docs/identification.md").read_text()
    (commands,) = re.findall(r"```sql\n(.*?)```", text, re.S)
    with opened.database.engine.begin() as connection:
        # As psql sends it: a percent sign is no placeholder.
        connection.connection.driver_connection.execute(commands)  # type: ignore[union-attr]
    assert not [t for t in sa.inspect(opened.database.engine).get_table_names() if t.startswith("search_")]
    delete_subject("ada", on=stores)
    enroll("bob", np.ones(MODES), stores)
    assert names(new_index(postgres_made), stores, np.ones(MODES)) == ["bob"]


def test_pgvector_is_asked_of_a_postgresql(tmp_path: Path) -> None:
    opened = open_in(tmp_path, Embedded())
    with pytest.raises(PgvectorMissing, match="PostgreSQL") as caught:
        PgvectorIndex(opened.stores, opened.database.engine, CALIBRATION)
    assert "RECON_IDENTIFICATION" in caught.value.next_step
    opened.close()

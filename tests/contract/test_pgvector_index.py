"""What the index in PostgreSQL does besides what every index does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from recon_service.bootstrap import OpenStores
from recon_service.search.pgvector.index import PgvectorIndex
from recon_service.search.pgvector.tables import PgvectorMissing
from tests.contract.reference_indices import ANY, CALIBRATION, OTHER, names, new_index
from tests.references import MODES, enroll, probe
from tests.stacks import Embedded, make_stack
from tests.unit.application.stores import open_in


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

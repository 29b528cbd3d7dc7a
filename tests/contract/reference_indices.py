"""The indices of references that the contract is held to, and how its tests ask them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.ports.references import ReferenceIndex
from recon_service.application.ports.stores import Stores
from recon_service.application.templates.subjects import load_template
from recon_service.bootstrap import OpenStores
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import Array
from recon_service.search.memory_index import MemoryIndex
from recon_service.search.pgvector.index import PgvectorIndex
from tests.references import MODES, by_comparing_with_all, probe, small_calibration
from tests.stacks import make_stack
from tests.unit.application.stores import open_in

CALIBRATION = small_calibration()
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

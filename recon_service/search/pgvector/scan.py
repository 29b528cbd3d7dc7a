"""The first step of a search, which the server takes: the bounds of one probe, sorted and filtered by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from recon_service.domain.arrays import Array
from recon_service.search.bounding_space import ProbeVector
from recon_service.search.exact_search import Rows


class ServerScan:
    """See ``exact_search.Scan``. Rows are places in ``ids``. number: of the table of the pair."""

    def __init__(self, connection: sa.Connection, number: int, probe: ProbeVector) -> None:
        self._connection, self._table, self._constant = connection, f"search_vectors_{number}", probe.constant
        self._probe = written(probe.vector)
        self.ids: list[str] = []
        self._places: dict[str, int] = {}
        self.size = 0

    def highest(self, count: int) -> tuple[Rows, Array]:
        """The server sorts."""
        rows = self._connection.execute(
            sa.text(
                f"SELECT template_id, -(vector <#> CAST(:q AS vector)) AS bound FROM {self._table} "
                "ORDER BY vector <#> CAST(:q AS vector) LIMIT :count"
            ),
            {"q": self._probe, "count": count},
        ).all()
        # Fewer than asked for are all that there are.
        self.size = len(rows) + (len(rows) == count)
        bounds = np.array([row.bound for row in rows], dtype=np.float64) + self._constant
        return self._rows([row.template_id for row in rows]), bounds

    def above(self, bound: float) -> Rows:
        """The server filters."""
        rows = self._connection.scalars(
            sa.text(f"SELECT template_id FROM {self._table} WHERE vector <#> CAST(:q AS vector) <= :limit"),
            {"q": self._probe, "limit": self._constant - bound},
        )
        return self._rows(list(rows))

    def _rows(self, ids: Sequence[str]) -> Rows:
        for template_id in ids:
            if template_id not in self._places:
                self._places[template_id] = len(self.ids)
                self.ids.append(template_id)
        return np.array([self._places[one] for one in ids], dtype=np.int64)


def written(vector: Any) -> str:
    """As the extension reads it."""
    return "[" + ",".join(repr(float(x)) for x in vector) + "]"

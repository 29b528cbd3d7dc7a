"""Search among a million references: time on one core, memory, and what the search would have missed.

    python benchmarks/identification.py                        1,000,000 references in memory, several ranks
    python benchmarks/identification.py --sizes 250000,1000000,4000000
    python benchmarks/identification.py --pgvector             the same in a PostgreSQL of its own
    python benchmarks/identification.py --quantized            with one byte per direction
    python benchmarks/identification.py --index                the index as the service holds it
    python benchmarks/identification.py --loading              opening sealed templates

References and probes are drawn from the population that the calibration describes: x = G z + e for
everybody, of which a probe shares z with the reference of the same person. That says how fast and how exact
the search is, and nothing about how well people are told apart. What is right is the score of every reference
in double precision.
"CPU" is the time of the process: on a machine that others use too, it is what one core would need.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.searching.population import COUNT, Clock, Population, population, truth, vectors_of
from recon_service.application.records.references import SearchProbe
from recon_service.application.searching.compared_versions import ComparedVersion
from recon_service.application.searching.reference_feed import PAGE, ReferenceChange, ReferencesNotReady
from recon_service.comparison.calibration import Calibration
from recon_service.comparison.calibration_file import load_calibration
from recon_service.comparison.evidence_kind import EvidenceKind
from recon_service.domain.arrays import AnyArray, Array
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import Provenance, Template
from recon_service.search.bounding_space import BoundingSpace, ProbeVector
from recon_service.search.exact_search import best_of
from recon_service.search.memory_index import RANK, MemoryIndex
from recon_service.search.vector_blocks import BlockScan

REFERENCES = EvidenceKind("selfies-photometric", "visible", 5)
PROBES = EvidenceKind("depth", "simulated-structured-light", 3)


def in_memory(people: Population, right: list[set[int]], ranks: list[int], table: Table) -> None:
    for rank in ranks:
        space = BoundingSpace(people.score, rank)
        begun = time.process_time()
        blocks = vectors_of(space, people)
        built = time.process_time() - begun
        clock, scored, found = Clock([], []), [], 0
        for mean, wanted in zip(people.probes, right, strict=True):
            with clock.measure():
                probe = space.probe(mean)
                ranked = best_of(
                    BlockScan(blocks, probe),
                    count=COUNT,
                    exact=lambda rows, space=space, probe=probe: space.exact(people.means.rows(rows), probe),
                    slack=probe.slack,
                )
            scored.append(ranked.scored)
            found += len(wanted & set(ranked.rows.tolist()))
        table.add_row(
            f"{len(blocks):,}",
            f"{rank}",
            *clock.columns(),
            f"{np.median(scored):.0f} / {max(scored)}",
            f"{100 * found / (COUNT * len(right)):.2f} %",
            f"{blocks.nbytes / 1e6:.0f} + {people.means.nbytes / 1e6:.0f} MB",
            f"{built:.1f} s",
        )


def quantized(people: Population, right: list[set[int]], table: Table) -> None:
    """Vectors of one byte per direction: how much longer the shortlist gets if it is to lose nothing. The
    error of every vector is known when it is made and enters the bound.
    """
    space = BoundingSpace(people.score, people.score.modes)
    steps: Array | None = None
    small: list[AnyArray] = []
    for means in people.means.filled():
        vectors = space.references(means).astype(np.float64)
        if steps is None:
            steps = np.maximum(np.abs(vectors).max(axis=0) * 1.6 / 127, 1e-9)
        rounded = np.round(vectors / steps)
        if np.abs(rounded).max() > 127:
            raise SystemExit("a vector does not fit: take a longer step")
        small.append(rounded.astype(np.int8))
    assert steps is not None
    lengths, found = [], 0
    for mean, wanted in zip(people.probes[::4], right[::4], strict=True):
        probe = space.probe(mean)
        weights = probe.vector.astype(np.float64) * steps
        # |z - z'| is at most half a step in every direction.
        slack = probe.slack + 0.5 * float(np.abs(weights).sum())
        bounds = np.concatenate([block.astype(np.float32) @ weights.astype(np.float32) for block in small])
        first = np.argpartition(-bounds, 4 * COUNT)[: 4 * COUNT]
        floor = np.sort(space.exact(people.means.rows(first), probe))[-COUNT] - probe.constant
        rows = np.flatnonzero(bounds >= floor - slack)
        lengths.append(len(rows))
        scores = space.exact(people.means.rows(rows), probe)
        found += len(wanted & set(rows[np.argsort(-scores)[:COUNT]].tolist()))
    table.add_row(
        f"{len(people.means):,}",
        f"{space.rank + 2} bytes",
        *["-"] * 4,
        f"{np.median(lengths):.0f} / {max(lengths)}",
        f"{100 * found / (COUNT * len(lengths)):.2f} %",
        f"{sum(b.nbytes for b in small) / 1e6:.0f} MB",
        "-",
    )


def in_postgresql(people: Population, right: list[set[int]], ranks: list[int], table: Table) -> None:
    """The scan of the server, and the scores of its shortlist from means in memory: how long it takes to open
    sealed templates is what ``--loading`` measures.
    """
    import sqlalchemy as sa

    from recon_service.search.pgvector.scan import ServerScan, written
    from recon_service.search.pgvector.tables import make_table
    from tests.servers.postgres import Postgres

    server = Postgres()
    # As in production, where the vectors stay in the server's memory.
    server.server._command = [part.replace("=32MB", "=2GB") for part in server.server._command]
    server.start()
    try:
        engine = sa.create_engine(server.url(server.make_database()))
        for rank in ranks:
            space = BoundingSpace(people.score, rank)
            blocks = vectors_of(space, people)
            begun = time.perf_counter()
            with engine.begin() as connection:
                connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
                make_table(connection, rank)
                cursor = connection.connection.cursor()
                with cursor.copy(f"COPY search_vectors_{rank} (template_id, vector) FROM STDIN") as copy:
                    number = 0
                    for block in blocks.filled():
                        for vector in block:
                            copy.write_row((f"tpl_{number:032d}", written(vector)))
                            number += 1
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text(f"VACUUM ANALYZE search_vectors_{rank}"))
            built = time.perf_counter() - begun
            clock, scored, found = Clock([], []), [], 0
            with engine.begin() as connection:
                connection.execute(sa.text("SET LOCAL max_parallel_workers_per_gather = 0"))
                backend = psutil.Process(connection.scalar(sa.text("SELECT pg_backend_pid()")))
                size = connection.scalar(sa.text(f"SELECT pg_total_relation_size('search_vectors_{rank}')"))
                for mean, wanted in list(zip(people.probes, right, strict=True))[::4]:
                    begun_cpu = sum(backend.cpu_times()[:2])
                    with clock.measure():
                        probe = space.probe(mean)
                        scan = ServerScan(connection, rank, probe)
                        ranked = best_of(
                            scan,
                            count=COUNT,
                            exact=lambda rows, scan=scan, space=space, probe=probe: exact_of(
                                scan, rows, probe, space, people
                            ),
                            slack=probe.slack,
                        )
                    clock.cpu[-1] += 1000 * (sum(backend.cpu_times()[:2]) - begun_cpu)
                    scored.append(ranked.scored)
                    found += len(wanted & {int(scan.ids[row][4:]) for row in ranked.rows})
            table.add_row(
                f"{len(blocks):,}",
                f"pgvector {rank}",
                *clock.columns(),
                f"{np.median(scored):.0f} / {max(scored)}",
                f"{100 * found / (COUNT * len(scored)):.2f} %",
                f"{float(size) / 1e6:.0f} MB",
                f"{built:.0f} s",
            )
        engine.dispose()
    finally:
        server.close()


def exact_of(
    scan: object, rows: AnyArray, probe: ProbeVector, space: BoundingSpace, people: Population
) -> Array:
    ids = np.array([int(scan.ids[row][4:]) for row in rows], dtype=np.int64)  # type: ignore[attr-defined]
    return space.exact(people.means.rows(ids), probe)


def whole_index(
    people: Population, right: list[set[int]], console: Console, calibration: Calibration
) -> None:
    """The index as a process of the service holds it, ids and all: its memory, and the time of a search."""
    now, covariance = datetime.now(UTC), 0.1 * np.eye(people.score.modes)
    seen = (Provenance(REFERENCES.source, "facemesh", now),) * REFERENCES.captures

    class Feed:
        """In place of the database."""

        def since(self, sequence: int | None, *, last: str = "") -> Iterator[ReferenceChange]:
            if sequence is not None:
                return
            number = 0
            for block in people.means.filled():
                for start in range(0, len(block), PAGE):
                    page = []
                    for mean in block[start : start + PAGE]:
                        posterior = object.__new__(IdentityPosterior)  # without its checks
                        for name, value in (
                            ("space", calibration.space),
                            ("mean", mean),
                            ("covariance", covariance),
                        ):
                            object.__setattr__(posterior, name, value)
                        ids = f"tpl_{number:032d}", f"s-{number}"
                        template = Template(
                            *ids, posterior, seen[0].source, "ict", calibration.name, seen, 80.0, now
                        )
                        page.append(ComparedVersion(ids[0], template))
                        number += 1
                    yield ReferenceChange(tuple(page), (), 1, fresh=number == len(page))

    index = MemoryIndex(None, calibration)  # type: ignore[arg-type]
    index._feed = Feed()  # type: ignore[assignment]
    before, begun = psutil.Process().memory_info().rss, time.process_time()
    probes = [
        SearchProbe(PROBES, IdentityPosterior(calibration.space, mean, covariance)) for mean in people.probes
    ]
    index.start()
    while True:
        try:
            index.search(probes[0], count=COUNT, least_llr=-np.inf)
            break
        except ReferencesNotReady:
            time.sleep(0.1)
    built, memory = time.process_time() - begun, psutil.Process().memory_info().rss - before
    clock, found = Clock([], []), 0
    for probe, wanted in zip(probes, right, strict=True):
        with clock.measure():
            result = index.search(probe, count=COUNT, least_llr=-np.inf)
        found += len(wanted & {int(hit.template_id[4:]) for hit in result.hits})
    p50, p95, cpu50, cpu95 = clock.columns()
    console.print(
        f"MemoryIndex of {result.searched:,}: {memory / 1e6:,.0f} MB of the process; a search p50 {p50} ms, "
        f"p95 {p95} ms (CPU {cpu50} and {cpu95} ms); recall {100 * found / (COUNT * len(right)):.2f} %; "
        f"made in {built:.0f} s of CPU from opened templates"
    )


def loading(console: Console, count: int = 2000) -> None:
    """How fast sealed templates are opened: unwrap the subject's key, decrypt, parse."""
    from recon_service.formats.template_format import BinaryTemplateFormat
    from recon_service.storage.vault import MasterKey, SubjectVault

    vault, format_ = SubjectVault(MasterKey(bytes(32))), BinaryTemplateFormat()
    now = datetime.now(UTC)
    posterior = IdentityPosterior("ict-facekit-light/60", np.zeros(60), 0.1 * np.eye(60))
    seen = (Provenance("selfies-photometric/visible", "facemesh", now),) * 5
    template = Template("t", "s", posterior, seen[0].source, "ict", "released-1", seen, 80.0, now)
    content = format_.write(template)
    sealed = []
    for n in range(count):
        key = vault.new_key(f"s{n}")
        sealed.append((key, vault.cipher(key).seal(content, place="templates", row=f"t{n}")))
    begun = time.process_time()
    for n, (key, one) in enumerate(sealed):
        format_.read(vault.cipher(key).open(one, place="templates", row=f"t{n}"))
    spent = time.process_time() - begun
    console.print(
        f"opened {count / spent:,.0f} sealed templates of {len(sealed[0][1]):,} bytes per second and core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000000")
    parser.add_argument("--ranks", default=f"22,30,{RANK},60")
    parser.add_argument("--probes", type=int, default=50, help="of people who are there; as many who are not")
    parser.add_argument("--pairs", default=f"{REFERENCES} {PROBES}", help="kinds, several by commas")
    parser.add_argument("--pgvector", action="store_true")
    parser.add_argument("--quantized", action="store_true")
    parser.add_argument("--loading", action="store_true")
    parser.add_argument("--index", action="store_true", help="the whole index of the service")
    chosen = parser.parse_args()
    console, calibration = Console(width=150), load_calibration()
    if chosen.loading:
        loading(console)
        return
    ranks = [int(rank) for rank in chosen.ranks.split(",")]
    for pair in chosen.pairs.split(","):
        kinds = [EvidenceKind.parse(kind) for kind in pair.split()]
        score = calibration.of(kinds[0], kinds[1]).pair.score
        table = Table(title=f"{pair}, {calibration.identity}, the best {COUNT}, one thread")
        for name in (
            "references",
            "rank",
            "wall p50",
            "p95 ms",
            "CPU p50",
            "p95 ms",
            "scored p50 / max",
            "recall",
            "memory",
            "built",
        ):
            table.add_column(name, justify="right")
        for size in chosen.sizes.split(","):
            people = population(score, int(size), chosen.probes)
            right = truth(people)
            if chosen.pgvector:
                in_postgresql(people, right, ranks, table)
            elif chosen.index:
                whole_index(people, right, console, calibration)
            elif chosen.quantized:
                quantized(people, right, table)
            else:
                in_memory(people, right, ranks, table)
        if table.row_count:
            console.print(table)


if __name__ == "__main__":
    main()

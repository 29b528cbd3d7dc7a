"""The rows of years, put into a database by the database itself: what ``benchmarks/years.py`` measures on.

Keys of subjects are real, and so is the chain of the audit log; what is sealed is a handful of bytes, which
no statement looks into. Ids are scattered as those of the service are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from recon_service.application.keeping.audit import subject_digest
from recon_service.application.ports.stores import Stores
from recon_service.application.records.audit import AuditEntry

Say = Callable[[str, int], None]
YEARS_S: Final = 5 * 365 * 86400
_MEASURES: Final = [
    {"name": f"measure-{n}", "raw": 71.25, "unit": "", "score": 71.25, "verdict": "good", "hint": ""}
    for n in range(6)
]
_REPORT: Final = json.dumps([{"accepted": True, "quality": _MEASURES, "problem": None, "spare": False}])
BATCHES: Final = ("active", "active", "rolled-back", "cancelled", "ready")


@dataclass(frozen=True, slots=True)
class Years:
    """How many rows of each kind."""

    subjects: int = 300_000
    operations: int = 2_000_000
    audit: int = 3_000_000
    deliveries: int = 500_000
    requests: int = 400_000  # Idempotency-Keys, digests of frames, counters: of a day

    def scaled(self, factor: float) -> Years:
        """So many times as many."""
        return Years(*(max(1000, int(factor * n)) for n in astuple(self)))


class Rows:
    """Fills an empty, migrated database."""

    def __init__(self, engine: sa.Engine, stores: Stores, years: Years, say: Say) -> None:
        self._engine, self._stores, self._years, self._say = engine, stores, years, say
        self._postgresql = engine.dialect.name == "postgresql"

    def fill(self) -> None:
        """All of it, one transaction per table."""
        self._copy("subjects", ("subject_id", "created_at", "version"), self._subjects())
        keys = ("subject_id", "key_id", "master_key_id", "wrapped")
        self._copy("subject_keys", keys, self._keys())
        for table, count, values in self._statements():
            self._say(table, count)
            columns = ", ".join(values)
            chosen = ", ".join(self._written(expression) for expression in values.values())
            with self._alone() as run:
                run(f"INSERT INTO {table} ({columns}) SELECT {chosen} FROM {self._series(count)}")
        audit = tuple(field.name for field in fields(AuditEntry))
        self._copy("audit_log", audit, self._audit())
        with self._alone() as run:
            last = f"(SELECT digest FROM audit_log WHERE sequence = {self._years.audit})"
            run(f"UPDATE audit_head SET sequence = {self._years.audit}, digest = {last}")
            run("UPDATE reference_head SET sequence = (SELECT max(sequence) FROM reference_changes)")
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self._postgresql:  # autovacuum does it in time; SQLite is never analyzed by the service
                connection.exec_driver_sql("SET statement_timeout = 0")
                connection.exec_driver_sql("VACUUM ANALYZE")

    def _alone(self) -> Any:
        return _Alone(self._engine)

    def _series(self, count: int) -> str:
        if self._postgresql:
            return f"generate_series(1, {count}) AS n(i)"
        endless = "SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
        return f"(WITH RECURSIVE n(i) AS ({endless} LIMIT {count}) SELECT i FROM n)"

    def _written(self, expression: str) -> str:
        """ID[x]: scattered hexadecimal digits of a number, each once. AGO[x]: so many seconds ago."""
        scattered = "lpad(to_hex((({})::bigint * 2654435761) % 4294967296), 8, '0')"
        ago = "now() - make_interval(secs => {})"
        if not self._postgresql:
            scattered = "printf('%08x', (({}) * 2654435761) % 4294967296)"
            ago = "strftime('%Y-%m-%d %H:%M:%S.000000', 'now', (-({})) || ' seconds')"
        while (at := max(expression.find("ID["), expression.find("AGO["))) >= 0:
            end = expression.index("]", at)
            word, _, inner = expression[at:end].partition("[")
            made = (scattered if word == "ID" else ago).replace("{}", inner)
            expression = expression[:at] + made + expression[end + 1 :]
        return expression

    def _statements(self) -> Iterator[tuple[str, int, dict[str, str]]]:
        y, s = self._years, self._years.subjects
        age = f"{YEARS_S} - i * {YEARS_S / y.operations:.6f}"
        subject = f"'person-' || ID[i % {s}]"
        state = "CASE WHEN i % 40 = 0 THEN 'failed' WHEN i % 8 = 0 THEN 'rejected' ELSE 'succeeded' END"
        zero = "decode('01', 'hex')" if self._postgresql else "x'01'"
        yield "operations", y.operations, {
            "operation_id": "'op_' || ID[i]", "subject_id": subject, "state": state, "stage": "'done'",
            "progress": "1", "attempts": "1", "version": "7", "consent_id": "'consent-' || i",
            "keep_selfies": "i % 20 = 0", "selfies": f"'{_REPORT}'", "created_at": f"AGO[{age} + 9]",
            "updated_at": f"AGO[{age}]", "ended_at": f"AGO[{age}]", "published_at": f"AGO[{age} + 9]",
            "queued_at": f"AGO[{age} + 9]", "number": f"1 + i / {s}",
        }  # fmt: skip
        yield "consents", y.operations, {
            "consent_row": "'cns_' || ID[i]", "subject_id": subject, "operation_id": "'op_' || ID[i]",
            "consent_id": "'consent-' || i", "given_at": f"AGO[{age}]", "swept": f"i <= {y.operations - s}",
            "expires_at": f"AGO[{age} - {2 * YEARS_S}]",
        }  # fmt: skip
        sealed = {"model": "'facemesh-1'", "source": "'mediapipe'", "calibration": "'released-1'",
                  "quality": "70", "sealed": zero}  # fmt: skip
        yield "templates", s, {
            "template_id": "'tpl_' || ID[i]", "subject_id": subject, "operation_id": "'op_' || ID[i]",
            "created_at": f"AGO[{age}]", "state": "'active'", "enrolled_by": "'op_' || ID[i]", **sealed,
        }  # fmt: skip
        yield "templates", s, {
            "template_id": f"'tpl_' || ID[i + {s}]", "subject_id": subject, "state": "'candidate'",
            "created_at": "AGO[86400]", "origin": "'re-enrollment'", "parent_id": "'tpl_' || ID[i]",
            "enrolled_by": "'op_' || ID[i]", **sealed,
        }  # fmt: skip
        yield "selfies", s // 3, {
            "operation_id": "'op_' || ID[i]", "ordinal": "0",
            "object_key": "'selfies/op_' || ID[i] || '/all'",
        }  # fmt: skip
        yield "kept_evidence", s // 2, {
            "subject_id": subject, "template_id": "'tpl_' || ID[i]", "created_at": "AGO[9]", "sealed": zero,
            "enrolled_by": "'op_' || ID[i]",
        }  # fmt: skip
        yield "recent_probes", 2 * s, {
            "probe_id": "'prb_' || ID[i]", "subject_id": subject, "seen_at": "AGO[i * 4]", "sealed": zero,
        }  # fmt: skip
        target = '{"backend": "facemesh", "calibration": "released-1", "materials": ["selfies"]}'
        chosen = json.dumps(
            {
                **dict.fromkeys(("subjects", "model", "calibration", "made_before", "quality_below")),
                "everybody": True,
            }
        )
        states = "CASE i " + " ".join(f"WHEN {n} THEN '{one}'" for n, one in enumerate(BATCHES, 1)) + " END"
        yield "batches", len(BATCHES), {
            "batch_id": "'bat_' || i", "state": states, "selection": f"'{chosen}'", "target": f"'{target}'",
            "priority": "0", "created_by": "'ops'", "moment": "AGO[25 * 86400 * (6 - i)]",
            "updated_at": "AGO[25 * 86400 * (6 - i)]", "expected": str(s), "cursor": "''",
            "listed_at": "AGO[9]", "begun_at": "AGO[9]", "ended_at": "AGO[9]",
        }  # fmt: skip
        for number, batch in enumerate(BATCHES, 1):
            standing = {"active": "'activated'", "rolled-back": "'rolled-back'", "ready": "'candidate'"}
            end = "'cancelled'" if batch == "cancelled" else "'succeeded'"
            made = f"'tpl_' || ID[i + {s}]" if batch == "ready" else f"'tpl_' || ID[i + {s * (2 + number)}]"
            yield "batch_items", s, {
                "batch_id": f"'bat_{number}'", "subject_id": subject, "attempts": "1", "at": "AGO[9]",
                "state": f"CASE WHEN i % 100 = 0 THEN 'failed' ELSE {end} END", "material": "'selfies'",
                "reason": "CASE WHEN i % 100 = 0 THEN 'storage-fault' ELSE '' END",
                "template_id": f"CASE WHEN i % 100 > 0 THEN {made} END",
                "former_id": "'tpl_' || ID[i]" if batch == "active" else "NULL",
                "standing": f"CASE WHEN i % 100 > 0 THEN {standing.get(batch, 'NULL')} END",
                "ended_at": "AGO[9]",
            }  # fmt: skip
        yield "webhook_endpoints", 5, {
            "endpoint_id": "'whk_' || i", "url": "'https://127.0.0.1:9/' || i", "kinds": "'[]'",
            "sealed_secret": zero, "created_at": "AGO[9]", "created_by": "'ops'",
        }  # fmt: skip
        yield "webhook_deliveries", y.deliveries, {
            "delivery_id": "'dlv_' || ID[i]", "endpoint_id": "'whk_' || (1 + i % 5)",
            "event_id": "'evt_' || i", "kind": "'operation.ended'", "body": "'0123456789012345678901234567'",
            "state": "CASE WHEN i % 200 = 0 THEN 'dead' ELSE 'delivered' END", "created_at": "AGO[i * 2]",
            "due_at": "AGO[i * 2]", "attempts": "1", "status": "200", "fault": "''", "ended_at": "AGO[i * 2]",
        }  # fmt: skip
        day = 86400 / y.requests
        yield "idempotency_records", y.requests, {
            "api_key_id": "'key'", "idempotency_key": "ID[i]", "digest": "ID[i]", "subject_id": subject,
            "operation_id": "'op_' || ID[i]", "created_at": f"AGO[i * {day:.6f}]",
        }  # fmt: skip
        yield "seen_captures", y.requests, {
            "capture": "ID[i] || ID[i]", "session_id": "'kss_' || ID[i / 9]",
            "seen_at": f"AGO[i * {day:.6f}]",
        }  # fmt: skip
        yield "kiosk_sessions", y.requests // 100, {
            "session_id": "'kss_' || ID[i]", "api_key_id": "'key'", "subject": "ID[i]", "client": "ID[i]",
            "opened_at": "AGO[i]", "expires_at": "AGO[i - 300]", "issued": "3", "spent": "3",
            "ended": "i > 9",
        }  # fmt: skip
        yield "failure_counters", y.requests, {
            "kind": "'subject'", "name": "ID[i]", "failures": "i % 3", "since": f"AGO[i * {day:.6f}]",
        }  # fmt: skip
        yield "deletion_receipts", s // 6, {
            "receipt_id": "'rcp_' || ID[i]", "subject_digest": "ID[i]", "deleted_at": "AGO[i * 99]",
            "templates": "1", "operations": "1", "objects": "0", "keys": "1", "authentication": "ID[i]",
            "exported_at": "AGO[i * 99]",
        }  # fmt: skip
        yield "edge_evidence", s, {
            "kiosk_id": "'ksk_' || (i % 20)", "sequence": "i", "subject_id": subject, "at": "AGO[i * 99]",
            "decision": "'MATCH'", "sealed": zero,
        }  # fmt: skip
        yield "reference_changes", s, {"sequence": f"i + {s}", "template_id": "'tpl_' || ID[i]"}

    def _subjects(self) -> Iterator[tuple[Any, ...]]:
        begun = datetime.now(UTC) - timedelta(seconds=YEARS_S)
        for n in range(self._years.subjects):
            yield person(n), self._moment(begun + timedelta(minutes=n)), 1

    def _keys(self) -> Iterator[tuple[Any, ...]]:
        for n in range(self._years.subjects):
            key = self._stores.vault.new_key(person(n))
            yield key.subject_id, key.key_id, key.master_key_id, key.wrapped

    def _audit(self) -> Iterator[tuple[Any, ...]]:
        vault, before, count = self._stores.vault, "", self._years.audit
        begun, step = datetime.now(UTC) - timedelta(seconds=YEARS_S), timedelta(seconds=YEARS_S / count)
        people = [subject_digest(person(n), on=self._stores) for n in range(1, 1 + min(5000, count))]
        for n in range(1, count + 1):
            action = "api-key.revoked" if n % 100_000 == 7 else "verification"
            who = people[0] if n % 300 == 0 else people[n % len(people)]
            entry = AuditEntry(n, begun + n * step, "key", action, who, f"vrf_{n:012x}", "MATCH")
            before = vault.digest("audit", before.encode(), *entry.statement())
            values = astuple(replace(entry, digest=before))
            yield values[0], self._moment(values[1]), *values[2:]

    def _moment(self, moment: datetime) -> Any:
        return moment if self._postgresql else moment.strftime("%Y-%m-%d %H:%M:%S.%f")

    def _copy(self, table: str, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
        self._say(table, self._years.audit if table == "audit_log" else self._years.subjects)
        names = ", ".join(columns)
        with self._engine.begin() as connection:
            raw: Any = connection.connection.driver_connection
            if self._postgresql:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            else:
                marks = ", ".join("?" * len(columns))
                raw.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


class _Alone:
    """One transaction without triggers, foreign keys and limits of time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Callable[[str], object]:
        self._began = self._engine.begin()
        connection = self._began.__enter__()
        if self._engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            # The driver takes a percent sign for a place of a parameter.
            return lambda statement: connection.exec_driver_sql(statement.replace("%", "%%"))
        return connection.exec_driver_sql

    def __exit__(self, *failed: Any) -> None:
        self._began.__exit__(*failed)


def person(number: int) -> str:
    """The name of a subject."""
    return f"person-{number * 2654435761 % 4294967296:08x}"

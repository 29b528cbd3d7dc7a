"""The index of a bulk enrollment: a CSV or Parquet file with one row per subject.

Columns: ``subject_id``, ``consent_id``, ``selfies`` (names of files, in CSV separated by semicolons, in
Parquet a list or the same), and optionally ``keep_selfies``, ``keep_evidence``, ``keep_probes`` (true or
false) and ``consent_expires_at`` (a moment as in ISO 8601). Others are refused, since one that nobody reads
may have been meant to matter.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recon_service.domain.errors import InvalidValue

NEEDED: Final = ("subject_id", "consent_id", "selfies")
FLAGS: Final = ("keep_selfies", "keep_evidence", "keep_probes")
KNOWN: Final = (*NEEDED, *FLAGS, "consent_expires_at")
YES: Final = ("true", "1")
NO: Final = ("false", "0", "")
PARQUET: Final = (".parquet", ".pq")
MAX_SELFIES: Final = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One subject. number: of the row, from 1. selfies: names as the index gives them."""

    number: int
    subject_id: str
    consent_id: str
    selfies: tuple[str, ...]
    keep_selfies: bool = False
    keep_evidence: bool = False
    consent_expires_at: str = ""
    keep_probes: bool = False

    @property
    def identity(self) -> str:
        """The same for the same content, wherever in the index it stands."""
        kept = [self.keep_selfies, self.keep_evidence, self.consent_expires_at]
        kept += ["keep-probes"] if self.keep_probes else []  # rows of before keep their identity
        content = [self.subject_id, self.consent_id, list(self.selfies), *kept]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be sent, and why."""

    number: int
    subject_id: str
    problem: str


def read_index(path: Path) -> Iterator[Row | BadRow]:
    """Row after row, in little memory. Raises InvalidValue for a file that is no index at all."""
    rows = _parquet(path) if path.suffix.lower() in PARQUET else _csv(path)
    for number, values in enumerate(rows, start=1):
        yield _row(number, values)


def _row(number: int, values: Mapping[str, Any]) -> Row | BadRow:
    subject = str(values.get("subject_id") or "").strip()
    consent = str(values.get("consent_id") or "").strip()
    named = values.get("selfies")
    listed = named.split(";") if isinstance(named, str) else list(named) if named is not None else []
    selfies = tuple(name for name in (str(n).strip() for n in listed) if name)
    flags = {name: str(values.get(name) or "").strip().lower() for name in FLAGS}
    unclear = next((name for name, said in flags.items() if said not in (*YES, *NO)), "")
    problem = (
        "subject_id is empty"
        if not subject
        else "consent_id is empty"
        if not consent
        else f"there are {len(selfies)} selfies, not 1 to {MAX_SELFIES}"
        if not 1 <= len(selfies) <= MAX_SELFIES
        else f"{unclear} is {flags[unclear]!r}, not true or false"
        if unclear
        else ""
    )
    if problem:
        return BadRow(number, subject[:64], problem)
    ends = str(values.get("consent_expires_at") or "").strip()
    return Row(
        number,
        subject,
        consent,
        selfies,
        **{n: said in YES for n, said in flags.items()},
        consent_expires_at=ends,
    )


def _check_columns(names: list[str], path: Path) -> None:
    missing = [name for name in NEEDED if name not in names]
    unknown = [name for name in names if name not in KNOWN]
    if missing or unknown or len(set(names)) != len(names):
        what = (
            f"it lacks {', '.join(missing)}" if missing else f"nobody knows {', '.join(unknown) or 'twins'}"
        )
        raise InvalidValue(
            f"{path} is no index: {what}",
            next_step=f"Its columns are {', '.join(NEEDED)}; possible are {', '.join(KNOWN[3:])}.",
        )


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            _check_columns(list(reader.fieldnames or ()), path)
            for row in reader:
                if "" in row:  # more cells than columns
                    yield {"subject_id": row["subject_id"], "consent_id": row["consent_id"], "selfies": ""}
                else:
                    yield row
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise InvalidValue(
            f"{path} cannot be read as CSV: {fault}", next_step="Save it as UTF-8 with commas."
        ) from fault


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InvalidValue(
            "reading Parquet needs pyarrow",
            next_step="Install it with: pip install 'recon-service[parquet]', or save the index as CSV.",
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_columns(list(file.schema_arrow.names), path)
            for batch in file.iter_batches(batch_size=1000):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as fault:
        raise InvalidValue(f"{path} cannot be read as Parquet", next_step="Write it again.") from fault

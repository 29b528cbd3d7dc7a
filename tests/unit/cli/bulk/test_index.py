from __future__ import annotations

from pathlib import Path

import pytest

from recon_service.cli.bulk.index import BadRow, Row, read_index
from recon_service.domain.errors import InvalidValue


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_of_csv(tmp_path: Path) -> None:
    text = "subject_id,consent_id,selfies,keep_selfies\na,c1,x.jpg; y.jpg,true\nb,c2,z.jpg,\n"
    assert list(read_index(write(tmp_path / "i.csv", "\ufeff" + text))) == [
        Row(1, "a", "c1", ("x.jpg", "y.jpg"), True),
        Row(2, "b", "c2", ("z.jpg",), False),
    ]


def test_bad_rows_say_why_and_the_rest_goes_on(tmp_path: Path) -> None:
    many = ";".join("x" * 11)
    lines = ["selfies,subject_id,consent_id", "x,,c", "x,a,", ",a,c", f"{many},a,c", "x,b,c", "x,a,c,more"]
    found = list(read_index(write(tmp_path / "i.csv", "\n".join(lines))))
    assert [type(row) for row in found] == [BadRow] * 4 + [Row, BadRow]
    assert [row.problem for row in found if isinstance(row, BadRow)] == [
        "subject_id is empty",
        "consent_id is empty",
        "there are 0 selfies, not 1 to 10",
        "there are 11 selfies, not 1 to 10",
        "there are 0 selfies, not 1 to 10",
    ]


def test_what_is_kept_and_until_when(tmp_path: Path) -> None:
    text = (
        "subject_id,consent_id,selfies,keep_evidence,consent_expires_at\n"
        "a,c,x,1,2027-03-01T00:00:00Z\n"
        "b,c,x,maybe,\n"
    )
    assert list(read_index(write(tmp_path / "i.csv", text))) == [
        Row(1, "a", "c", ("x",), False, True, "2027-03-01T00:00:00Z"),
        BadRow(2, "b", "keep_evidence is 'maybe', not true or false"),
    ]


def test_a_row_is_another_one_where_probes_are_kept() -> None:
    (row,) = {Row(1, "a", "c", ("x",)).identity, Row(2, "a", "c", ("x",)).identity}
    assert row != Row(1, "a", "c", ("x",), keep_probes=True).identity


@pytest.mark.parametrize("header", ["", "subject_id,selfies", "subject_id,consent_id,selfies,name"])
def test_a_file_that_is_no_index_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(InvalidValue, match="columns are"):
        list(read_index(write(tmp_path / "i.csv", header + "\n")))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_bytes(b"\xff\xfe\x00rubbish")
    with pytest.raises(InvalidValue, match="UTF-8"):
        list(read_index(tmp_path / "i.csv"))


def test_rows_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"subject_id": ["a", "b"], "consent_id": ["c", None], "selfies": [["x", "y"], ["z"]]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "i.parquet")
    assert list(read_index(tmp_path / "i.parquet")) == [
        Row(1, "a", "c", ("x", "y")),
        BadRow(2, "b", "consent_id is empty"),
    ]
    (tmp_path / "i.parquet").write_bytes(b"rubbish")
    with pytest.raises(InvalidValue, match="Parquet"):
        list(read_index(tmp_path / "i.parquet"))


def test_a_row_is_known_by_its_content(tmp_path: Path) -> None:
    one = Row(1, "a", "c", ("x",))
    assert Row(7, "a", "c", ("x",)).identity == one.identity
    assert Row(1, "a", "c", ("x",), True).identity != one.identity

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import boto3
import pytest

from recon_service.application.records.access import Scope
from recon_service.application.records.operations import EnrollmentOutcome, SelfieReport
from recon_service.cli.bulk.journal import Journal
from recon_service.cli.bulk.sources import open_source
from recon_service.domain.errors import InvalidValue, NotFound
from tests.servers.s3_server import ACCESS_KEY, S3, SECRET_KEY
from tests.unit.application.stores import OUTCOME
from tests.unit.cli.serving import serving


def judged(selfies: Sequence[bytes]) -> EnrollmentOutcome:
    return EnrollmentOutcome((SelfieReport(False),), None) if selfies[0] == b"bad" else OUTCOME


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "selfies"
    folder.mkdir()
    for n in range(6):
        (folder / f"{n}.jpg").write_bytes(b"bad" if n == 4 else f"selfie {n}".encode())
    rows = [f"s{n},c{n},{n}.jpg" for n in range(6)]
    rows += ["s6,c6,missing.jpg", ",c7,1.jpg", "s8,c8,../people.csv", "s 9,c9,1.jpg"]
    index = tmp_path / "people.csv"
    index.write_text("\n".join(["subject_id,consent_id,selfies", *rows]) + "\n")
    return index


def report(index: Path) -> dict[str, str]:
    with index.with_name(f"{index.name}.report.csv").open(newline="") as file:
        return {row["row"]: row["state"] for row in csv.DictReader(file)}


def test_bad_rows_are_reported_and_the_rest_is_enrolled(tmp_path: Path, people: Path) -> None:
    with serving(tmp_path / "state", script=judged, worker=True) as service:
        arguments = ("bulk", "enroll", str(people), "--from", str(tmp_path / "selfies"), "--json")
        code, out = service.recon(*arguments)
        assert code == 1
        states = json.loads(out)["states"]
        assert states == {"bad-row": 3, "refused": 1, "rejected": 1, "succeeded": 5}
        assert report(people)["5"] == "rejected"
        with service.stores.database.snapshot() as tx:
            enrolled = len(list(tx.subjects.enrolled_since()))
        assert enrolled == 6
        assert json.loads(service.recon(*arguments)[1])["states"] == states
        with service.stores.database.snapshot() as tx:
            assert tx.operations.queued() == [], "nothing was sent again"
            assert [len(tx.templates.of_subject(f"s{n}")) for n in range(6)] == [1, 1, 1, 1, 0, 1]


def test_a_run_without_its_journal_enrolls_nobody_twice(tmp_path: Path, people: Path) -> None:
    """Killed after the service acknowledged and before the journal had it."""
    with serving(tmp_path / "state", script=judged, worker=True) as service:
        arguments = ("bulk", "enroll", str(people), "--from", str(tmp_path / "selfies"))
        service.recon(*arguments)
        people.with_name("people.csv.journal").unlink()
        service.recon(*arguments)
        with service.stores.database.snapshot() as tx:
            assert [len(tx.templates.of_subject(f"s{n}")) for n in range(6)] == [1, 1, 1, 1, 0, 1]


def test_a_key_without_the_scope_ends_the_run(tmp_path: Path, people: Path) -> None:
    with serving(tmp_path / "state", scopes=(Scope.VERIFY,)) as service:
        assert service.recon("bulk", "enroll", str(people), "--from", str(tmp_path / "selfies"))[0] == 1


def test_a_journal_survives_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Journal.open(path)
    first.acknowledged("row-1", "op_1")
    with path.open("ab") as file:
        file.write(b'{"row": "row-2", "opera')
    second = Journal.open(path)
    assert second.operations == {"row-1": "op_1"}
    second.acknowledged("row-3", "op_3")
    second.ended("op_1", "succeeded")
    assert Journal.open(path).open_operations() == ["op_3"]


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (inside / "link").symlink_to(tmp_path / "secret")
    source = open_source(str(inside))
    for name in ("../secret", "link", str(tmp_path / "secret")):
        with pytest.raises(InvalidValue, match="outside"):
            source.read(name)
    for name in ("missing", "bad\0name", "."):
        with pytest.raises(NotFound):
            source.read(name)
    with pytest.raises(InvalidValue, match="no folder"):
        open_source(str(tmp_path / "nothing"))


def test_selfies_from_a_bucket(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = s3_server.make_bucket()
    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    client.put_object(Bucket=bucket, Key="2031/a/x.jpg", Body=b"selfie")
    source = open_source(f"s3://{bucket}/2031", endpoint=s3_server.endpoint)
    assert source.read("a/x.jpg") == b"selfie"
    with pytest.raises(NotFound):
        source.read("a/y.jpg")
    with pytest.raises(InvalidValue):
        source.read("../other/x.jpg")

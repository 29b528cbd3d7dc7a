from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pyrage
import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.keeping.signing import service_signer
from recon_service.application.records.access import Scope
from recon_service.bootstrap import open_stores
from tests.stacks import Embedded, settings_for
from tests.unit.api.conftest import authorization
from tests.unit.application.enrollments_support import ask, run
from tests.unit.application.stores import ListQueue, ScriptedCompute

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())


class Side:
    """One of two services."""

    def __init__(self, folder: Path, **settings: object) -> None:
        small = settings_for(Embedded(), folder, **settings)
        self.opened = open_stores(small)
        self.stores = self.opened.stores
        service = Service(
            small, self.stores, ScriptedCompute(), ListQueue(), development_keys=True, checks={}
        )
        self.client = TestClient(create_app(service), raise_server_exceptions=False)
        self.client.headers.update(authorization(self.stores, Scope.OPS))


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """One that exports and one that imports; each has told the other its public key."""
    file = tmp_path / "identity"
    file.write_text(f"# made by a test\n{IDENTITY}\n")
    here = Side(tmp_path / "here", export_recipients=f" {RECIPIENT}, age1other")
    source = here.client.get("/v1/exchange-identity").json()["source"]
    there = Side(
        tmp_path / "there", import_identity_file=file, import_sources=source, max_import_bytes=100_000
    )
    yield here, there
    here.opened.close()
    there.opened.close()


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[1]


def test_page_after_page_from_one_service_into_the_other(sides: tuple[Side, Side]) -> None:
    here, there = sides
    for n in range(5):
        run(here.stores, ask(here.stores, subject=f"s{n}"))
    after, imported = "", 0
    while True:
        asked = {"recipient": RECIPIENT, "after": after, "limit": 2}
        answer = here.client.post("/v1/template-exports", json=asked)
        assert answer.status_code == 200
        assert answer.content.startswith(b"age-encryption.org/v1")
        came = there.client.post("/v1/template-imports?activate=true", content=answer.content).json()
        assert came["imported"] == int(answer.headers["Recon-Export-Count"])
        assert (came["refused"], came["complete"]) == ([], True)
        assert came["export_id"] == answer.headers["Recon-Export-Id"]
        imported += came["imported"]
        if (after := answer.headers.get("Recon-Next-After", "")) == "":
            break
    assert imported == 5
    listed = there.client.get("/v1/subjects/s3/templates").json()["templates"]
    assert [(t["origin"], t["state"], t["operation_id"]) for t in listed] == [("import", "active", None)]


def test_the_identity_says_what_the_other_side_must_name(sides: tuple[Side, Side]) -> None:
    here, there = sides
    source = service_signer(on=here.stores).public
    assert here.client.get("/v1/exchange-identity").json() == {
        "source": source,
        "recipient": None,
        "recipients": sorted(["age1other", RECIPIENT]),
        "sources": [],
    }
    other = there.client.get("/v1/exchange-identity").json()
    assert (other["recipient"], other["sources"]) == (RECIPIENT, [source])


STRANGER = str(pyrage.x25519.Identity.generate().to_public())


@pytest.mark.parametrize("recipient", [pytest.param(STRANGER, id="stranger"), "nonsense"])
def test_an_api_key_alone_carries_nothing_out(sides: tuple[Side, Side], recipient: str) -> None:
    answer = sides[0].client.post("/v1/template-exports", json={"recipient": recipient})
    assert refused(answer) == (403, "recipient-not-allowed")
    assert "RECON_EXPORT_RECIPIENTS" in answer.json()["next_step"]


def test_a_named_recipient_that_is_no_key_is_said_so(sides: tuple[Side, Side]) -> None:
    answer = sides[0].client.post("/v1/template-exports", json={"recipient": "age1other"})
    assert refused(answer) == (403, "recipient-not-allowed")


def test_a_service_that_is_not_set_up_imports_nothing(sides: tuple[Side, Side]) -> None:
    answer = sides[0].client.post("/v1/template-imports", content=b"anything")
    assert refused(answer) == (409, "import-not-set-up")


@pytest.mark.parametrize("content", [b"", b"rubbish", b"age-encryption.org/v1\n-> X25519 abc\n"])
def test_rubbish_is_refused(sides: tuple[Side, Side], content: bytes) -> None:
    answer = sides[1].client.post("/v1/template-imports", content=content)
    assert refused(answer) == (422, "exchange-file-refused")


def test_too_large_a_file_is_refused(sides: tuple[Side, Side]) -> None:
    answer = sides[1].client.post("/v1/template-imports", content=bytes(100_001))
    assert refused(answer) == (413, "payload-too-large")


def test_unknown_subjects_and_names_that_are_none(sides: tuple[Side, Side]) -> None:
    asked = {"recipient": RECIPIENT, "subjects": ["nobody"]}
    answer = sides[0].client.post("/v1/template-exports", json=asked)
    assert answer.headers["Recon-Export-Count"] == "0"
    bad = sides[0].client.post("/v1/template-exports", json={**asked, "subjects": ["a b"]})
    assert refused(bad) == (422, "invalid-value")

"""The documentation as a page: all that the OpenAPI document says is on it, it works without another server,
and the calls that it shows are ones that the service takes.
"""

from __future__ import annotations

import html
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recon_service.api import problems
from recon_service.api.description import DESCRIPTION
from recon_service.api.reference.outline import Call, outline
from recon_service.api.reference.prose import prose
from recon_service.api.reference.types import kind_of, sent_kind_of


class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: set[str] = set()
        self.links: set[str] = set()
        self.places: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {name: value or "" for name, value in attrs}
        self.places += [given["id"]] if "id" in given else []
        if tag == "a":
            self.links.add(given["href"])
        else:
            self.loaded |= {given[name] for name in ("src", "href") if name in given}

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def page(client: TestClient) -> Page:
    return Page(client.get("/docs").text)


def test_everything_of_the_document_is_on_the_page(app: FastAPI, page: Page) -> None:
    document = app.openapi()
    said = " ".join(page.words.split())

    def shown(markdown: str) -> str:
        return " ".join(html.unescape(re.sub(r"<[^>]+>", "", str(prose(markdown)))).split())

    for path, methods in document["paths"].items():
        for call in methods.values():
            assert call["operationId"] in page.places
            for text in (path, call["summary"], *(p["description"] for p in call.get("parameters", ()))):
                assert shown(text) in said, call["operationId"]
    for name, schema in document["components"]["schemas"].items():
        assert f"body-{name}" in page.places
        for field in schema.get("properties", {}).values():
            assert shown(field["description"]) in said, name


def test_the_page_needs_no_other_server_and_no_script(client: TestClient, page: Page) -> None:
    assert page.loaded == {"/docs/reference.css"}
    assert not page.tags & {"script", "img", "iframe", "style"}
    assert "url(" not in client.get("/docs/reference.css").text
    policy = client.get("/docs").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert client.get("/redoc").status_code == 404


def test_every_link_leads_somewhere(client: TestClient, page: Page) -> None:
    assert len(page.places) == len(set(page.places))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.places
        else:
            assert client.get(link).status_code == 200


def all_calls(app: FastAPI) -> list[Call]:
    return [call for group in outline(app.openapi()).groups for call in group.calls]


def test_every_call_is_there_once_and_its_command_names_all_that_must_be_sent(app: FastAPI) -> None:
    found = all_calls(app)
    assert len(found) == sum(len(methods) for methods in app.openapi()["paths"].values())
    for call in found:
        words = shlex.split(call.curl.replace("\\\n", " "))
        assert words[0] == "curl"
        assert "{" not in next(word for word in words if word.startswith("$RECON_URL"))
        if call.asked and call.asked[0].media == "multipart/form-data":
            sent = {words[n + 1].partition("=")[0] for n, word in enumerate(words) if word == "-F"}
            assert sent == {f.name for f in call.asked[0].fields if f.required and "." not in f.name}
            assert "intrinsics" not in sent or "intrinsics.fx" in {f.name for f in call.asked[0].fields}


@pytest.mark.parametrize(
    ("schema", "text", "limits"),
    [
        ({"type": "string", "maxLength": 64}, "text", "at most 64 characters"),
        ({"type": "integer", "minimum": 1, "maximum": 1000}, "whole number", "1 to 1,000"),
        ({"type": "integer", "exclusiveMaximum": 10}, "whole number", "below 10"),
        ({"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}, "number or null", "at least 0"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 5}, "list of text", "at most 5 entries"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/A"}}, "list of A", ""),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "number by name", ""),
        ({"enum": ["a", "b"], "type": "string"}, '"a" or "b"', ""),
        ({"type": "string", "format": "binary"}, "file", ""),
    ],
)
def test_types_in_words(schema: dict[str, Any], text: str, limits: str) -> None:
    assert (kind_of(schema).text, kind_of(schema).limits) == (text, limits)


def test_a_parameter_is_never_null() -> None:
    assert sent_kind_of({"anyOf": [{"type": "string"}, {"type": "null"}], "pattern": "^a$"}).text == "text"


def test_what_descriptions_hold_is_text() -> None:
    assert str(prose("<b> & `<i>`")) == "<p>&lt;b&gt; &amp; <code>&lt;i&gt;</code></p>"


def test_every_problem_that_callers_can_meet_is_in_the_description(app: FastAPI) -> None:
    elsewhere = {"error", "settings-invalid", "insecure-configuration", "webhook-not-genuine"}
    for kind in problems._all_errors():
        _, layer, *inner = kind.__module__.split(".")
        met = layer in ("domain", "application", "imaging", "depth", "weights") and "computing" not in inner
        if met and kind.code not in elsewhere:
            family = f"{kind.code.partition('-')[0]}-…"
            row = next(r for r in DESCRIPTION.splitlines() if r.startswith(f"| {problems.status_of(kind)} "))
            assert f"`{kind.code}`" in row or f"`{family}`" in row, kind.code

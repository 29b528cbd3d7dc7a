"""What the interactive documentation shows: nothing without a word about it, examples for what one types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def calls(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            yield f"{method.upper()} {path}", call


def test_every_call_says_what_it_does(document: dict[str, Any]) -> None:
    for name, call in calls(document):
        assert call.get("summary"), name
        assert call.get("description"), name
        assert call.get("tags"), name
        described = {tag["name"] for tag in document["tags"] if tag.get("description")}
        assert set(call["tags"]) <= described, name


def test_every_parameter_is_described_and_parts_of_addresses_have_an_example(
    document: dict[str, Any],
) -> None:
    for name, call in calls(document):
        for parameter in call.get("parameters", []):
            what = f"{name}: {parameter['name']}"
            assert parameter.get("description"), what
            if parameter["in"] == "path":
                assert parameter["schema"].get("examples") or parameter.get("example"), what


def test_every_json_answer_has_an_example(document: dict[str, Any]) -> None:
    for name, call in calls(document):
        for status, answer in call["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if content is not None and status.startswith("2"):
                assert {"example", "examples"} & set(content), f"{name}: {status}"


def test_what_needs_a_key_says_how_it_refuses(document: dict[str, Any]) -> None:
    for name, call in calls(document):
        if call.get("security"):
            assert "401" in call["responses"], name
        for status, answer in call["responses"].items():
            if status.startswith(("4", "5")) and name != "GET /readyz":
                assert "application/problem+json" in answer["content"], f"{name}: {status}"

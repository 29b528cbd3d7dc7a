"""What the documentation shows: nothing without a word about it, examples for what one types, and
examples that are what they are examples of.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator

from recon_service.api import problems
from recon_service.api.description import DESCRIPTION

Document = dict[str, Any]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def document(app: FastAPI) -> Document:
    return app.openapi()


def calls(document: Document) -> Iterator[tuple[str, Document]]:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            yield f"{method.upper()} {path}", call


def says_something(name: str, description: str) -> bool:
    """Not empty, not the framework's own, not its name again."""
    words = re.findall(r"[a-z]+", description.lower())
    return description not in ("Successful Response", "") and words != re.findall(r"[a-z]+", name.lower())


def properties(schema: Any, where: str) -> Iterator[tuple[str, Document]]:
    """Every property that a schema has itself, at any depth."""
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{where}.{name}", field
        for key, inner in schema.items():
            if key not in ("example", "examples", "default"):
                yield from properties(inner, f"{where}.{key}" if key != "properties" else where)
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties(inner, where)


def examples_of(content: Document, schema: Document) -> list[Any]:
    """Those of a body: beside its schema, or in it."""
    given = [one["value"] for one in content.get("examples", {}).values()]
    given += [content["example"]] if "example" in content else []
    return given + schema.get("examples", [])


def test_every_call_says_what_it_does(document: Document) -> None:
    for name, call in calls(document):
        assert call.get("summary"), name
        assert call.get("description"), name
        assert call.get("tags"), name
        described = {tag["name"] for tag in document["tags"] if tag.get("description")}
        assert set(call["tags"]) <= described, name


def test_every_field_of_every_body_says_what_it_means(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert len(schemas) > 80
    for schema_name, schema in schemas.items():
        assert schema.get("description"), schema_name
        for where, field in properties(schema, schema_name):
            assert says_something(where.rpartition(".")[2], field.get("description", "")), where


def test_every_part_of_every_form_says_what_it_is(document: Document) -> None:
    forms = 0
    for name, call in calls(document):
        body = call.get("requestBody", {})
        for kind, content in body.get("content", {}).items():
            parts = dict(properties(content["schema"], name))
            forms += kind == "multipart/form-data"
            for where, part in parts.items():
                assert says_something(where.rpartition(".")[2], part.get("description", "")), where
            assert parts or "$ref" in content["schema"] or says_something("", body["description"]), name
    assert forms >= 4


def test_every_parameter_is_described_and_parts_of_addresses_have_an_example(document: Document) -> None:
    for name, call in calls(document):
        for parameter in call.get("parameters", []):
            what = f"{name}: {parameter['name']}"
            assert says_something(parameter["name"], parameter.get("description", "")), what
            if parameter["in"] == "path":
                assert parameter["schema"].get("examples") or parameter.get("example"), what


def test_every_answer_and_its_headers_say_what_they_mean(document: Document) -> None:
    for name, call in calls(document):
        for status, answer in call["responses"].items():
            assert says_something(call["operationId"], answer["description"]), f"{name}: {status}"
            for header, about in answer.get("headers", {}).items():
                assert says_something(header, about.get("description", "")), f"{name}: {header}"


def test_every_json_body_has_an_example_that_is_one(document: Document) -> None:
    """Sound by its schema; and an answer's example leaves out no field, so that nobody has to guess one."""
    components = document["components"]
    for name, call in calls(document):
        bodies = [("request", call["requestBody"])] if "requestBody" in call else []
        for what, body in [*bodies, *call["responses"].items()]:
            content = body.get("content", {}).get("application/json")
            if content is None:
                continue
            schema = components["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            found = examples_of(content, schema)
            assert found, f"{name}: {what}"
            for one in found:
                checked = Draft202012Validator({**content["schema"], "components": components})
                faults = [f"{fault.instance_path}: {fault.message}" for fault in checked.iter_errors(one)]
                assert not faults, f"{name}: {what}: {faults}"
                if what != "request":
                    assert set(one) == set(schema["properties"]), f"{name}: {what}"


def test_what_needs_a_key_says_how_it_refuses(document: Document) -> None:
    for name, call in calls(document):
        if call.get("security"):
            assert "401" in call["responses"], name
        for status, answer in call["responses"].items():
            if status.startswith(("4", "5")) and name != "GET /readyz":
                assert list(answer["content"]) == ["application/problem+json"], f"{name}: {status}"
                content = answer["content"]["application/problem+json"]
                for shown in examples_of(content, {}):
                    assert shown["status"] == int(status), f"{name}: {status}"
                    code = shown["type"].removeprefix("/problems/")
                    assert problems.explain(code).status_code == 200
                    assert f"`{code}`" in answer["description"] or "examples" not in content
                assert examples_of(content, {}), f"{name}: {status}"


def test_codes_of_problems_are_what_the_code_raises() -> None:
    spec = importlib.util.spec_from_file_location("codes", ROOT / "scripts/problem_codes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = script.FILE.read_text(encoding="utf-8")
    assert written == script.written(), "run: .venv/bin/python scripts/problem_codes.py"


def test_a_verification_names_all_that_can_be_wrong_with_it(document: Document) -> None:
    answers = document["paths"]["/v1/subjects/{subject_id}/verifications"]["post"]["responses"]
    named = {
        s: set(a["content"]["application/problem+json"].get("examples", {}))
        for s, a in answers.items()
        if s > "4"
    }
    assert named["409"] == {"capture-replayed", "kiosk-session-invalid", "model-mismatch", "nonce-used"}
    assert named["429"] == {"locked-out", "too-many-requests"}
    assert "kiosk-proof-invalid" in named["403"]
    assert {"too-little-depth", "image-corrupt"} <= named["422"]


def test_every_problem_that_callers_can_meet_is_in_the_description() -> None:
    elsewhere = {"error", "settings-invalid", "insecure-configuration", "webhook-not-genuine"}
    for kind in problems._all_errors():
        _, layer, *inner = kind.__module__.split(".")
        met = layer in ("domain", "application", "imaging", "depth", "weights") and "computing" not in inner
        if met and kind.code not in elsewhere:
            family = f"{kind.code.partition('-')[0]}-…"
            row = next(r for r in DESCRIPTION.splitlines() if r.startswith(f"| {problems.status_of(kind)} "))
            assert f"`{kind.code}`" in row or f"`{family}`" in row, kind.code

"""The OpenAPI document as the page shows it: calls by who makes them, each with all that one needs for it,
and the bodies that they speak in.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recon_service.api.reference.types import Kind, Schema, body_of, kind_of, sent_kind_of

JSON = "application/json"
FORM = "multipart/form-data"
_FILES = {"selfies": "front.jpg", "depth": "depth.png", "image": "color.jpg"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body, a part of a form or a parameter. place: of a parameter, path, query or header."""

    name: str
    kind: Kind
    required: bool
    about: str
    default: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """name: empty where there is but one. text: JSON, or as it is."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """A request's or an answer's body in one media type. body: name of its schema, or empty."""

    media: str
    body: str
    fields: tuple[Field, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """headers: names with what they say."""

    status: str
    about: str
    headers: tuple[tuple[str, str], ...]
    contents: tuple[Content, ...]

    @property
    def good(self) -> bool:
        return self.status.startswith("2")


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one address. needs: what opens it, in words. asked: its body. curl: how it is made."""

    name: str
    method: str
    path: str
    summary: str
    about: str
    needs: str
    parameters: tuple[Field, ...]
    asked: tuple[Content, ...]
    asked_about: str
    answers: tuple[Answer, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Group:
    """Calls for one kind of caller."""

    name: str
    about: str
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A schema that bodies are made of. values: of an enumeration."""

    name: str
    about: str
    fields: tuple[Field, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """All of it."""

    title: str
    version: str
    about: str
    groups: tuple[Group, ...]
    bodies: tuple[Body, ...]


def outline(document: dict[str, Any]) -> Outline:
    """Of an OpenAPI document of this service. A call is in the group of its first tag."""
    schemas = document["components"]["schemas"]
    calls: dict[str, list[Call]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            calls[call["tags"][0]].append(_call(method.upper(), path, call, schemas))
    return Outline(
        document["info"]["title"],
        document["info"]["version"],
        document["info"]["description"],
        tuple(Group(t["name"], t["description"], tuple(calls[t["name"]])) for t in document["tags"]),
        tuple(
            Body(name, _about(schema), tuple(_fields(schema)), tuple(map(str, schema.get("enum", ()))))
            for name, schema in sorted(schemas.items())
        ),
    )


def _call(method: str, path: str, call: dict[str, Any], schemas: dict[str, Schema]) -> Call:
    parameters = tuple(
        Field(
            p["name"],
            sent_kind_of(p["schema"]),
            p.get("required", False),
            p["description"],
            _shown_default(p["schema"]),
            p["in"],
        )
        for p in call.get("parameters", ())
    )
    asked = call.get("requestBody", {})
    contents = tuple(_contents(asked, schemas))
    return Call(
        name=call["operationId"],
        method=method,
        path=path,
        summary=call["summary"],
        about=_about(call),
        needs=_needs(call.get("security", ())),
        parameters=parameters,
        asked=contents,
        asked_about=asked.get("description", ""),
        answers=tuple(
            Answer(
                status,
                answer["description"],
                tuple((name, header["description"]) for name, header in answer.get("headers", {}).items()),
                tuple(_contents(answer, schemas)),
            )
            for status, answer in sorted(call["responses"].items())
        ),
        curl=_curl(method, path, call, contents),
    )


def _about(schema: dict[str, Any]) -> str:
    return str(schema.get("description", ""))


def _fields(schema: Schema, within: str = "") -> Iterator[Field]:
    """With those of a text that is JSON itself: ``intrinsics.width``."""
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        yield Field(within + name, kind_of(one), name in required, _about(one), _shown_default(one))
        yield from _fields(one.get("contentSchema", {}), f"{within}{name}.")


def _shown_default(schema: Schema) -> str:
    """Of what is left out; empty where that is nothing or null, as the description then says."""
    return json.dumps(schema["default"]) if schema.get("default") not in (None, "") else ""


def _contents(body: dict[str, Any], schemas: dict[str, Schema]) -> Iterator[Content]:
    for media, content in body.get("content", {}).items():
        schema = content.get("schema", {})
        name = body_of(schema)
        whole = schemas[name] if name else schema
        yield Content(media, name, tuple(_fields(whole)), tuple(_examples(content, whole)))


def _examples(content: dict[str, Any], schema: Schema) -> Iterator[Example]:
    for name, one in content.get("examples", {}).items():
        yield Example(name, _written(one["value"]))
    if "example" in content:
        yield Example("", _written(content["example"]))
    for one in schema.get("examples", ()) if "properties" in schema else ():
        yield Example("", _written(one))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _needs(security: Any) -> str:
    scopes = [scope for one in security for scope in one.get("ApiKey", ())]
    if scopes:
        return f"An API key with the scope {' or '.join(scopes)}."
    if any("CaptureToken" in one for one in security):
        return "The token of a capture session."
    return "No key."


def _curl(method: str, path: str, call: dict[str, Any], contents: tuple[Content, ...]) -> str:
    """How a shell makes the call: all that must be there and nothing else."""
    for parameter in call.get("parameters", ()):
        shown = parameter["schema"].get("examples", [""])[0]
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(shown))
        elif parameter["in"] == "query" and parameter.get("required"):
            allowed = parameter["schema"].get("const", shown)
            path += f"{'&' if '?' in path else '?'}{parameter['name']}={allowed}"
    words = ["curl", *(["-X", method] if method != "GET" else []), f'"$RECON_URL"{shlex.quote(path)}']
    if any("ApiKey" in one for one in call.get("security", ())):
        words.append('-H "Authorization: Bearer $RECON_API_KEY"')
    if any("CaptureToken" in one for one in call.get("security", ())):
        words.append('-H "Authorization: Bearer $CAPTURE_TOKEN"')
    for content in contents[:1]:
        words += _sent(content, call)
    lines, line = [], words[0]
    for word in words[1:]:
        if word.startswith(("-H", "-F", "-d", "--data")) or len(line) > 90:
            lines.append(line)
            line = f"  {word}"
        else:
            line += f" {word}"
    return " \\\n".join([*lines, line])


def _sent(content: Content, call: dict[str, Any]) -> list[str]:
    if content.media == FORM:
        parts = call["requestBody"]["content"][FORM]["schema"]["properties"]
        return [
            f"-F {shlex.quote(f'{f.name}=@{_FILES[f.name]}' if f.name in _FILES else _given(f, parts))}"
            for f in content.fields
            if f.required and f.name in parts
        ]
    if content.media == JSON:
        text = json.dumps(json.loads(content.examples[0].text))
        return [f"-H 'Content-Type: {JSON}'", f"-d {shlex.quote(text)}"]
    return [f"-H 'Content-Type: {content.media}'", "--data-binary @FILE"]


def _given(field: Field, parts: dict[str, Schema]) -> str:
    return f"{field.name}={parts[field.name].get('example', '…')}"

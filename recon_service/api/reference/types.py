"""What a schema of the OpenAPI document allows, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_FORMATS = {
    "binary": "file",
    "date-time": "date and time with zone (ISO 8601)",
}
_NAMES = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a value. text: in words. body: name of the schema that it refers to, or of whose elements
    it is a list; empty for none. limits: what else must hold, or empty.
    """

    text: str
    body: str = ""
    limits: str = ""


def body_of(schema: Schema) -> str:
    """Name of the schema that one refers to; empty for one that says it all itself."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def kind_of(schema: Schema) -> Kind:
    """Of a property, a parameter or a part of a form."""
    if name := body_of(schema):
        return Kind(name, name)
    if "anyOf" in schema:
        kinds = [kind_of(one) for one in schema["anyOf"]]
        body = next((k.body for k in kinds if k.body), "")
        all_limits = [*(k.limits for k in kinds if k.limits), *_limits(schema)]
        return Kind(" or ".join(k.text for k in kinds), body, ", ".join(all_limits))
    if "const" in schema:
        return Kind(f'"{schema["const"]}"')
    if "enum" in schema:
        return Kind(" or ".join(f'"{one}"' for one in schema["enum"]))
    limits = ", ".join(_limits(schema))
    if schema.get("type") == "array":
        inner = kind_of(schema.get("items", {}))
        text = "files" if inner.text == "file" else f"list of {inner.text}"
        return Kind(text, inner.body, ", ".join(filter(None, (limits, inner.limits))))
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        inner = kind_of(schema["additionalProperties"])
        return Kind(f"{inner.text} by name", inner.body, limits)
    named = _FORMATS.get(schema.get("format", ""), "")
    plain = str(schema.get("type", "any"))
    return Kind(named or _NAMES.get(plain, plain), "", limits)


def sent_kind_of(schema: Schema) -> Kind:
    """Of a parameter, which can be left out but cannot be null."""
    given = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return kind_of({**schema, "anyOf": given} if given else schema)


def _limits(schema: Schema) -> list[str]:
    found = []
    for low, high, unit in (("minLength", "maxLength", " characters"), ("minItems", "maxItems", " entries")):
        found += _range(schema.get(low), schema.get(high), unit)
    found += _range(schema.get("minimum"), schema.get("maximum"), "")
    found += [f"below {schema['exclusiveMaximum']:g}"] if "exclusiveMaximum" in schema else []
    found += ["no two alike"] if schema.get("uniqueItems") else []
    found += [f"pattern {schema['pattern']}"] if "pattern" in schema else []
    return found


def _range(low: float | None, high: float | None, unit: str) -> list[str]:
    if low is not None and high is not None:
        return [f"{low:,.12g} to {high:,.12g}{unit}"]
    if low is not None:
        return [f"at least {low:,.12g}{unit}"]
    return [f"at most {high:,.12g}{unit}"] if high is not None else []

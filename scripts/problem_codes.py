"""Which problems each endpoint can answer with, derived from the code: writes
recon_service/api/problem_codes.json.

What an endpoint raises, and what the functions that it calls raise or say that they raise ("Raises
NotFound, Conflict."), followed through the API and the use cases. Methods are known by their names, where
hardly two classes have one of that name. What the framework and the checks before an endpoint answer is
added in ``recon_service/api/problem_codes.py``.

    python scripts/problem_codes.py
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from fastapi.routing import APIRoute

from recon_service.api import problems
from recon_service.api.app import api_routes
from recon_service.api.schemas import Asked
from recon_service.application.ports.compute import Compute
from recon_service.depth.errors import DepthRejected
from recon_service.domain.errors import ImageRejected, ReconError

FILE = Path(__file__).parents[1] / "recon_service" / "api" / "problem_codes.json"
FOLLOWED = ("recon_service.api.", "recon_service.application.")
FAMILIES = (ImageRejected, DepthRejected)
"""Where one of them can come, every member can."""
PACKAGES = ("application", "storage", "webhooks", "edge")
"""Where ports are, and what implements them."""
SAME_NAME = 2


def _loaded() -> list[ModuleType]:
    packages = [importlib.import_module(f"recon_service.{name}") for name in PACKAGES]
    found = [m for p in packages for m in pkgutil.walk_packages(p.__path__, f"{p.__name__}.")]
    return [importlib.import_module(module.name) for module in found if ".migrations" not in module.name]


MODULES = _loaded()  # first: an error is known when its module is loaded
KINDS = {kind.__name__: kind for kind in problems._all_errors()}
Kinds = frozenset[type[ReconError]]


def errors_of(route: APIRoute) -> Kinds:
    """What the endpoint and its dependencies raise."""
    found = raised_by(route.endpoint)
    for body in [hint for hint in get_type_hints(route.endpoint).values() if _is_body(hint)]:
        for part in (body, *(f.annotation for f in body.model_fields.values() if _is_body(f.annotation))):
            methods = [value.fget if isinstance(value, property) else value for value in vars(part).values()]
            found = found.union(*(said(method.__doc__) for method in methods if inspect.isfunction(method)))
    for dependency in route.dependant.dependencies:
        call = dependency.call
        found |= raised_by(call if inspect.isfunction(call) else type(call).__call__)
    return found


def _is_body(hint: Any) -> bool:
    """Whether it is a body of ours, whose methods make values of it."""
    return inspect.isclass(hint) and issubclass(hint, Asked)


def raised_by(function: Callable[..., Any]) -> Kinds:
    """Followed through all that it calls."""
    found: set[type[ReconError]] = set()
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        raised, called = _looked_at(one)
        found |= raised
        waiting += called
    return frozenset(found)


def said(doc: str | None) -> Kinds:
    """What a docstring says that is raised."""
    clauses = re.findall(r"[Rr]aises? ([^.:;]*)", doc or "")
    return frozenset(
        KINDS[word] for clause in clauses for word in re.findall(r"[A-Z]\w+", clause) if word in KINDS
    )


@cache
def _looked_at(one: Callable[..., Any]) -> tuple[Kinds, tuple[Callable[..., Any], ...]]:
    """What it raises or says that it raises, and the functions that it names."""
    raised = set(said(one.__doc__))
    if inspect.isclass(one) or not one.__module__.startswith(FOLLOWED):
        return frozenset(raised), ()
    called: list[Callable[..., Any]] = []
    tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
    names = {**inspect.unwrap(one).__globals__, **_imported_within(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            for name in (n.id for n in ast.walk(node.exc) if isinstance(n, ast.Name)):
                makes = getattr(names.get(name), "__annotations__", {}).get(
                    "return", name
                )  # or the class itself
                raised |= {KINDS[makes]} if makes in KINDS else set()
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            called += _ours(names.get(node.id))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of = names.get(node.func.value.id) if isinstance(node.func.value, ast.Name) else None
            if inspect.ismodule(of):
                called += _ours(getattr(of, node.func.attr, None))
            else:
                raised |= _said_by_methods(node.func.attr)
        elif isinstance(node, ast.Attribute) and _is_compute(node.value):
            raised |= said(Compute.__doc__)
    return frozenset(raised), tuple(called)


def _imported_within(tree: ast.AST) -> dict[str, Any]:
    return {
        name.asname or name.name: getattr(importlib.import_module(node.module), name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }


def _ours(value: Any) -> Iterator[Callable[..., Any]]:
    known = inspect.isfunction(value) or (inspect.isclass(value) and not issubclass(value, Exception))
    if known and value.__module__.startswith("recon_service."):
        yield value


def _said_by_methods(name: str) -> Kinds:
    """What those of that name say, where a port and what implements it are all that have one."""
    found = _by_name().get(name, [])
    return frozenset().union(*(said(one.__doc__) for one in found if len(found) <= SAME_NAME))


@cache
def _by_name() -> dict[str, list[Callable[..., Any]]]:
    found: dict[str, list[Callable[..., Any]]] = {}
    for module in MODULES:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__:
                for name, method in inspect.getmembers(kind, inspect.isfunction):
                    if method.__module__ == module.__name__ and not name.startswith("__"):
                        found.setdefault(name, []).append(method)
    return found


def _is_compute(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name == "compute"


def derived() -> dict[str, list[str]]:
    """Endpoint, as its method and path, to the codes that it can answer with."""
    found = {}
    for route in api_routes():
        kinds = errors_of(route)
        for family in FAMILIES:
            if family in kinds:
                kinds |= {kind for kind in KINDS.values() if issubclass(kind, family)}
        for method in route.methods:
            found[f"{method} {route.path}"] = sorted(kind.code for kind in kinds)
    return dict(sorted(found.items()))


def written() -> str:
    """As the file holds it."""
    return json.dumps(derived(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")

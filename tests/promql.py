"""So much of Prometheus' query language as the alerts use, evaluated over series that were really scraped.
Rates are increases by the length of the window; Prometheus also extrapolates to its ends.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import promql_parser as parser

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
LOOKBACK_S = 300.0
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "*": operator.mul,
    "+": operator.add,
    "/": lambda a, b: a / b if b else math.nan,
}


@dataclass
class Series:
    """What was scraped: name -> labels -> times in seconds and values."""

    samples: dict[str, dict[Labels, list[tuple[float, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, name: str, labels: dict[str, str], at: float, value: float) -> None:
        self.samples[name][frozenset(labels.items())].append((at, value))

    def select(self, selector: Any) -> Iterable[tuple[Labels, list[tuple[float, float]]]]:
        for labels, values in self.samples[selector.name].items():
            has = dict(labels)
            if all(_matches(matcher, has.get(matcher.name, "")) for matcher in selector.matchers.matchers):
                yield labels, values


def holds(query: str, series: Series, *, at: float) -> bool:
    """Whether an alert of this expression is active at that time."""
    return bool(_value(parser.parse(query), series, at))


def _matches(matcher: Any, value: str) -> bool:
    kind = str(matcher.op).rsplit(".", 1)[-1]
    return {
        "Equal": value == matcher.value,
        "NotEqual": value != matcher.value,
        "Re": re.fullmatch(matcher.value, value) is not None,
        "NotRe": re.fullmatch(matcher.value, value) is None,
    }[kind]


def _value(node: Any, series: Series, at: float) -> Any:
    match type(node).__name__:
        case "NumberLiteral":
            return float(node.val)
        case "ParenExpr":
            return _value(node.expr, series, at)
        case "VectorSelector":
            return _instant(node, series, at)
        case "AggregateExpr":
            return _aggregate(node, series, at)
        case "Call":
            return _call(node, series, at)
        case "BinaryExpr":
            return _binary(node, series, at)
    raise NotImplementedError(type(node).__name__)


def _offset(selector: Any) -> float:
    return float(selector.offset.total_seconds()) if isinstance(selector.offset, timedelta) else 0.0


def _instant(node: Any, series: Series, at: float) -> Vector:
    at -= _offset(node)
    found = {}
    for labels, values in series.select(node):
        recent = [value for moment, value in values if at - LOOKBACK_S < moment <= at]
        if recent:
            found[labels] = recent[-1]
    return found


def _increases(node: Any, series: Series, at: float) -> Vector:
    selector, window = node.vector_selector, node.range.total_seconds()
    at -= _offset(selector)
    found = {}
    for labels, values in series.select(selector):
        inside = [value for moment, value in values if at - window <= moment <= at]
        if len(inside) > 1:
            steps = itertools.pairwise(inside)
            found[labels] = sum(now - before if now >= before else now for before, now in steps)
    return found


def _call(node: Any, series: Series, at: float) -> Any:
    name, (first, *more) = node.func.name, node.args
    if name == "vector":
        return {frozenset(): _value(first, series, at)}
    if name == "absent":
        return {} if _value(first, series, at) else {frozenset(): 1.0}
    if name in ("rate", "increase"):
        length = first.range.total_seconds() if name == "rate" else 1.0
        return {labels: value / length for labels, value in _increases(first, series, at).items()}
    if name == "histogram_quantile":
        return _quantiles(_value(first, series, at), _value(more[0], series, at))
    raise NotImplementedError(name)


def _quantiles(share: float, buckets: Vector) -> Vector:
    by: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        rest = frozenset(pair for pair in labels if pair[0] != "le")
        by[rest].append((float(dict(labels)["le"]), count))
    found = {}
    for labels, counts in by.items():
        counts.sort()
        total = counts[-1][1]
        below, begun = 0.0, 0.0
        for bound, count in counts:
            if total and count >= share * total:
                inside = (share * total - below) / (count - below) if count > below else 0.0
                found[labels] = begun if math.isinf(bound) else begun + (bound - begun) * inside
                break
            below, begun = count, bound
        else:
            found[labels] = math.nan
    return found


def _aggregate(node: Any, series: Series, at: float) -> Vector:
    by: dict[Labels, list[float]] = defaultdict(list)
    keep = set(node.modifier.labels) if node.modifier is not None else set()
    for labels, value in _value(node.expr, series, at).items():
        by[frozenset(pair for pair in labels if pair[0] in keep)].append(value)
    reduce = {"sum": sum, "max": max, "min": min, "count": len}[str(node.op)]
    return {labels: float(reduce(values)) for labels, values in by.items()}  # type: ignore[operator]


def _binary(node: Any, series: Series, at: float) -> Any:
    left, right = _value(node.lhs, series, at), _value(node.rhs, series, at)
    word = str(node.op)
    if word == "and":
        return {labels: value for labels, value in left.items() if labels in right}
    if word == "or":
        return {**right, **left}
    if isinstance(left, float) and isinstance(right, float):
        return ARITHMETIC[word](left, right)
    found: Vector = {}
    for labels in left if isinstance(left, dict) else right:
        a = left if isinstance(left, float) else left.get(labels)
        b = right if isinstance(right, float) else right.get(labels)
        if a is None or b is None:
            continue
        if word in ARITHMETIC:
            found[labels] = ARITHMETIC[word](a, b)
        elif COMPARISONS[word](a, b):
            found[labels] = a
    return found

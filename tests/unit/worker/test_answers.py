"""What a compute process may say to its parent: values, and nothing that runs."""

from __future__ import annotations

import json
import os
import pickle
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import Enum
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from recon_service.application.computing.local_compute import LocalCompute
from recon_service.application.errors import ComputeFault, Overloaded
from recon_service.application.records.evaluations import EvaluationSet, PersonObserved, Way
from recon_service.application.records.inspections import Inspection
from recon_service.application.records.operations import EnrollmentOutcome, Problem, SelfieReport
from recon_service.application.records.probes import ProbeSeen
from recon_service.application.records.visits import VerificationOutcome
from recon_service.domain.appearance import Appearance
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import ComparisonScore, Decision, Template, VerificationResult
from recon_service.formats.template_format import BinaryTemplateFormat
from recon_service.settings import Settings
from tests.unit.application.stores import GOOD, OUTCOME
from tests.unit.formats.test_template_format import make_template
from worker import answers, child_process
from worker.answers import BadAnswer
from worker.batch_compute import BatchChildCompute
from worker.children import ChildCompute


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as parent, Connection(theirs.detach()) as child:
        yield parent, child


def through(ends: tuple[Connection, Connection], value: object) -> Any:
    parent, child = ends
    sender = threading.Thread(target=answers.send, args=(child, value))  # more than a socket holds
    sender.start()
    try:
        return answers.receive(parent)
    finally:
        sender.join()


SCORE = ComparisonScore(
    -0.0, "selfies", "depth/kinect", "table", parts=(("shape", 0.1), ("size", float("inf")))
)
VALUES: dict[str, object] = {
    "verification": VerificationOutcome(
        VerificationResult(Decision.NO_MATCH, SCORE, (("code", "Hinweis äöü"),), "pilot-1", None, 3),
        "table",
        {"decode": 1.5, "fit": 1e-300},
    ),
    "rejected": EnrollmentOutcome((SelfieReport(False, None, Problem("code", "detail")), GOOD), None),
    "way": Way("model", "calibration", "facemesh", parent=Way("a", "b", "c")),
    "enumeration": EvaluationSet.REAL,
    "moment": datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC),
    "containers": ([1, None, True], ("a", b"\x00\xff", b""), {3: "x", "y": (0.1,)}, -(2**70), 1e22),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_arrive_as_they_were(ends: tuple[Connection, Connection], name: str) -> None:
    value = ("value", VALUES[name])
    arrived = through(ends, value)
    assert arrived == value
    assert repr(arrived) == repr(value), "types, signs of zero and order included"


def test_arrays_and_templates_arrive_bit_equal(ends: tuple[Connection, Connection]) -> None:
    rng = np.random.default_rng(7)
    wide = np.asfortranarray(rng.normal(size=(300, 500)))
    for array in (
        wide,
        wide.T,
        rng.normal(size=3).astype(np.float32),
        np.zeros((0, 3)),
        np.array(2, np.int64),
    ):
        arrived = through(ends, Inspection(width=array, regions=())).width
        assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
        assert arrived.tobytes("A") == array.tobytes("A")
        assert arrived.flags.f_contiguous == array.flags.f_contiguous
    template = make_template()
    (person,) = through(ends, (PersonObserved((template, None), ()),))
    assert BinaryTemplateFormat().write(person.references[0]) == BinaryTemplateFormat().write(template)
    assert through(ends, OUTCOME).posterior.covariance.tolist() == OUTCOME.posterior.covariance.tolist()  # type: ignore[union-attr]


def test_numbers_of_numpy_and_views_of_mappings_arrive_as_plain_ones(
    ends: tuple[Connection, Connection],
) -> None:
    arrived = through(
        ends, (np.int64(3), np.float64(0.1), np.bool_(True), MappingProxyType({"a": np.float32(0.5)}))
    )
    assert arrived == (3, 0.1, True, {"a": 0.5})
    assert [type(part) for part in arrived] == [int, float, bool, dict]


def test_nothing_else_is_sent(ends: tuple[Connection, Connection]) -> None:
    for value in (
        object(),
        Path("/"),
        np.array([object()]),
        SimpleNamespace(),
        ChildCompute,
        {1, 2},
        Settings(),
    ):
        with pytest.raises(TypeError):
            answers.send(ends[1], value)


def records_in(hint: Any, seen: set[type]) -> set[type]:
    """Every record and enumeration that a value of this type may hold."""
    if isinstance(hint, type) and is_dataclass(hint) and hint not in seen:
        seen.add(hint)
        known = {**vars(sys.modules[hint.__module__]), **LATER}
        for part in get_type_hints(hint, known).values():
            records_in(part, seen)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        seen.add(hint)
    for part in get_args(hint):
        records_in(part, seen)
    return seen


LATER = {
    "Template": Template,
    "ProbeSeen": ProbeSeen,
    "IdentityPosterior": IdentityPosterior,
    "Appearance": Appearance,
    "Decision": Decision,
}
"""Names that some modules import for annotations alone."""


def test_whatever_a_compute_process_is_asked_for_it_can_answer() -> None:
    calls = {**vars(ChildCompute), **vars(BatchChildCompute)}
    public = [name for name in calls if hasattr(LocalCompute, name) and not name.startswith("_")]
    assert len(public) > 10
    found: set[type] = set()
    for name in public:
        call = calls[name]
        if not isinstance(call, property):
            records_in(get_type_hints(call, {**vars(sys.modules[call.__module__]), **LATER})["return"], found)
    assert {VerificationOutcome, EnrollmentOutcome, Inspection, PersonObserved, Decision} <= found
    for kind in found:
        assert answers._name(kind), "a record of an answer lives in domain or application/records"


RECORD = "recon_service.domain.template:Template"
POSTERIOR = "recon_service.domain.posterior:IdentityPosterior"
FORGED: dict[str, object] = {
    "a function": {"record": ["os:system", ["true"]]},
    "a record of elsewhere": {"record": ["recon_service.settings:Settings", []]},
    "an error": {"record": ["recon_service.domain.errors:ReconError", ["detail"]]},
    "what a module of ours has imported": {"record": ["recon_service.domain.template:dataclass", []]},
    "a place above": {"record": ["recon_service.domain.../os:system", ["true"]]},
    "a record without its parts": {"record": [RECORD, ["only one"]]},
    "a record that is none": {
        "record": [
            "recon_service.domain.posterior:IdentityPosterior",
            ["s", {"array": [0, "<f8", [1], "C"]}, 3],
        ]
    },
    "a decision that there is not": {"enum": ["recon_service.domain.template:Decision", "PERHAPS"]},
    "an array of objects": {"array": [0, "|O", [1], "C"]},
    "an array of records": {"array": [0, "f4,f4", [1], "C"]},
    "an array beyond its bytes": {"array": [0, "<f8", [2], "C"]},
    "an array of negative size": {"array": [0, "<f8", [-1, -1], "C"]},
    "bytes that did not come": {"bytes": 7},
    "two kinds at once": {"tuple": [], "bytes": 0},
    "an unknown kind": {"code": "print()"},
    "a key that no map has": {"map": [[[1], 2]]},
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_answers_are_none(ends: tuple[Connection, Connection], name: str) -> None:
    parent, child = ends
    child.send_bytes(b"[8]")
    child.send_bytes(json.dumps(FORGED[name]).encode())
    child.send_bytes(np.float64(1).tobytes())
    with pytest.raises(BadAnswer):
        answers.receive(parent)


@pytest.mark.parametrize(
    "sizes", [b"[-1]", b"[1e99]", b"[true]", b"[9999999999]", b"{}x", b"[[", b"7", b"\x80\x04."]
)
def test_a_frame_that_cannot_be_is_not_waited_for(ends: tuple[Connection, Connection], sizes: bytes) -> None:
    parent, child = ends
    child.send_bytes(sizes)
    with pytest.raises(BadAnswer):
        answers.receive(parent)


def test_a_document_without_end_is_no_answer(ends: tuple[Connection, Connection]) -> None:
    parent, child = ends
    child.send_bytes(b"[]")
    child.send_bytes(b"[" * 100_000)
    with pytest.raises(BadAnswer):
        answers.receive(parent)


class Run:
    """As a pickle: a command that is run by whoever reads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self.command,)


TAKEN_OVER = """#!{python}
import sys
from multiprocessing.connection import Connection
connection = Connection(int(sys.argv[3]))
connection.recv_bytes()
{ready}
connection.recv_bytes()
while True:
    {answer}
    connection.recv_bytes()
"""
READY = 'connection.send_bytes(b\'[]\'); connection.send_bytes(b\'{"tuple": ["ready", {"map": []}]}\')'


@pytest.mark.parametrize("when", ["at once", "as an answer"])
def test_a_child_that_was_taken_over_runs_nothing_in_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Who owns a decoder owns the child. The parent holds the master key."""
    proof, program = tmp_path / "ran", tmp_path / "child"
    attack = f"connection.send_bytes({pickle.dumps(('value', Run(f'touch {proof}')))!r})"
    ready = READY if when == "as an answer" else attack
    program.write_text(TAKEN_OVER.format(python=sys.executable, ready=ready, answer=attack))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(child_process, "sys", SimpleNamespace(executable=str(program)))
    compute = ChildCompute(Settings(model="builtin"), processes=1, limit_s=5.0)
    try:
        # One that never came up is no compute process at all.
        with pytest.raises(ComputeFault if when == "as an answer" else Overloaded):
            compute.check_quality([b"picture"])
    finally:
        compute.close()
    assert not proof.exists()

"""Candidates among many, and duplicates at enrollment, in both stacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.schemas_identification import (
    DUPLICATES,
    IDENTIFICATION,
    NOBODY,
    DuplicatesBody,
    IdentificationBody,
)
from recon_service.api.service import Service
from recon_service.application.enrolling.duplicate_findings import all_findings, findings_of
from recon_service.application.enrolling.duplicates import DuplicateCheck
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.audit import verify_audit
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.access import Scope
from recon_service.application.records.identifications import IdentificationDecision, ObservedVisit
from recon_service.application.records.operations import Operation, OperationState
from recon_service.application.records.references import SearchProbe, SearchResult
from recon_service.application.records.visits import KioskVisit
from recon_service.application.searching.identification import Identifier, searched
from recon_service.application.templates.subjects import (
    activate_template,
    delete_subject,
    list_templates,
    load_template,
)
from recon_service.bootstrap import OpenStores, open_duplicate_check, open_identifier
from recon_service.comparison.calibration import Calibration, Measured
from recon_service.comparison.identification_policy import IdentificationPolicy
from recon_service.domain.arrays import Array
from recon_service.domain.errors import InvalidValue, ModelMismatch, NotFound
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.presentation import PresentationMeasure, PresentationResult
from recon_service.search.memory_index import MemoryIndex
from recon_service.settings import Settings, SettingsInvalid
from tests.references import DEPTH, MODES, SELFIES, SPACE, enroll, move, outcome, small_calibration
from tests.stacks import Stack, settings_for
from tests.unit.api.conftest import authorization
from tests.unit.application.stores import ListQueue, ScriptedCompute, open_in

CALIBRATION = small_calibration()
LENIENT = IdentificationPolicy("lenient", false_positives=0.5, list_above=-50.0)


@pytest.fixture
def opened(tmp_path: Path, stack: Stack) -> Iterator[OpenStores]:
    made = open_in(tmp_path, stack)
    yield made
    made.close()


@pytest.fixture
def stores(opened: OpenStores) -> Stores:
    return opened.stores


def identifier(
    stores: Stores, policy: IdentificationPolicy = LENIENT, calibration: Calibration = CALIBRATION
) -> Identifier:
    return Identifier(MemoryIndex(stores, calibration), calibration, policy)


def seen(mean: Array | None, **changes: object) -> ObservedVisit:
    posterior = None if mean is None else IdentityPosterior(SPACE, np.asarray(mean), 0.1 * np.eye(MODES))
    visit = ObservedVisit(posterior, "kinect2", 1, (), PresentationResult(()), None, "small", {"fit": 1.0})
    return replace(visit, **changes)  # type: ignore[arg-type]


def people(count: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {f"person-{n}": rng.standard_normal(MODES) for n in range(count)}


def measured(calibration: Calibration, people: int, pairs: int) -> Calibration:
    """The same, as if so many had been measured without one false match."""
    known = Measured("them", people, pairs, 1, 1, 0.0, 0.0, 0.0, (-100.0,), (0.0,), (0.0,))
    pair = replace(calibration.pairs[SELFIES, DEPTH], measured=known)
    return replace(calibration, pairs={**calibration.pairs, (SELFIES, DEPTH): pair})


def test_the_threshold_grows_with_the_logarithm_of_the_number_searched() -> None:
    policy = IdentificationPolicy("p", false_positives=0.01, list_above=2.0)
    assert policy.threshold(1) == pytest.approx(np.log(100))
    assert policy.threshold(10_000) - policy.threshold(100) == pytest.approx(np.log(100))
    assert replace(policy, list_above=30.0).threshold(5) == 30.0
    with pytest.raises(InvalidValue):
        IdentificationPolicy("p", false_positives=0.0, list_above=0.0)


def test_candidates_come_best_first_and_only_above_the_list(stores: Stores) -> None:
    enrolled = people(12)
    for name, mean in enrolled.items():
        enroll(name, mean, stores)
    mean = enrolled["person-4"]
    ratios = {
        name: float(CALIBRATION.llr(SELFIES, DEPTH, one[None], mean[None])[0][0])
        for name, one in enrolled.items()
    }
    order = sorted(ratios, key=lambda name: -ratios[name])
    found = searched(seen(mean), limit=3, on=stores, by=identifier(stores))
    assert found.decision is IdentificationDecision.CANDIDATES
    assert [one.subject_id for one in found.candidates] == order[:3]
    assert [one.score.llr for one in found.candidates] == pytest.approx([ratios[name] for name in order[:3]])
    assert (found.searched, found.not_comparable) == (12, 0)
    floor = (ratios[order[1]] + ratios[order[2]]) / 2
    strict = identifier(stores, replace(LENIENT, list_above=floor))
    assert len(searched(seen(mean), limit=9, on=stores, by=strict).candidates) == 2
    nobody = searched(
        seen(mean), limit=9, on=stores, by=identifier(stores, replace(LENIENT, list_above=99.0))
    )
    assert (nobody.decision, nobody.candidates) == (IdentificationDecision.NO_CANDIDATE, ())


def test_a_candidate_meets_the_policy_only_where_enough_people_were_measured(stores: Stores) -> None:
    """Two searched at a rate of one half: the bound of the false match rate must be a quarter."""
    for name, mean in people(2).items():
        enroll(name, mean, stores)
    mean = people(2)["person-0"]
    eager = IdentificationPolicy("eager", false_positives=0.99, list_above=-50.0)
    for pairs, supported in ((2, False), (100, True)):
        calibration = measured(CALIBRATION, 20, pairs)
        found = searched(seen(mean), limit=5, on=stores, by=identifier(stores, eager, calibration))
        assert found.supported is supported
        reached = [one.score.llr >= found.threshold for one in found.candidates]
        assert [one.meets_policy for one in found.candidates] == [supported and r for r in reached]
        assert ("claim-not-measured" in dict(found.reasons)) is not supported
    few = replace(eager, least_frames=2)
    found = searched(
        seen(mean), limit=5, on=stores, by=identifier(stores, few, measured(CALIBRATION, 20, 100))
    )
    assert not any(one.meets_policy for one in found.candidates)


def test_an_artefact_and_a_bad_capture_search_nobody(stores: Stores) -> None:
    enroll("ada", np.ones(MODES), stores)
    flat = PresentationResult((PresentationMeasure("flat", 0.1, "mm", 4.0, 0.02, "Show yourself."),))
    shown = searched(seen(np.ones(MODES), presentation=flat), limit=5, on=stores, by=identifier(stores))
    assert (shown.decision, shown.searched, shown.candidates) == (
        IdentificationDecision.PRESENTATION_ATTACK,
        0,
        (),
    )
    blind = searched(seen(None, faults=(("no-face", "hint"),)), limit=5, on=stores, by=identifier(stores))
    assert (blind.decision, blind.searched, dict(blind.reasons)) == (
        IdentificationDecision.INCONCLUSIVE,
        0,
        {"no-face": "hint"},
    )


@dataclass
class Enrolling:
    """Enrollments that ask for duplicates."""

    stores: Stores
    check: DuplicateCheck
    queue: ListQueue = field(default_factory=ListQueue)

    def enroll(self, subject_id: str, mean: Array) -> Operation:
        asked = request_enrollment(
            EnrollmentRequest(subject_id, (b"x",), "c"), on=self.stores, queue=self.queue
        )
        ready = outcome(mean)
        ended = run_enrollment(
            asked.operation.operation_id,
            on=self.stores,
            compute=ScriptedCompute(lambda _: ready),
            queue=self.queue,
            policy=JobPolicy(),
            duplicates=self.check,
        )
        assert ended is not None
        return ended


def alike_and_not() -> tuple[Array, Array, float]:
    """Two people, and a ratio between that of the first with itself and that of the two."""
    rng = np.random.default_rng(0)
    while True:
        one, other = rng.standard_normal((2, MODES))
        same, two = (float(CALIBRATION.llr(SELFIES, SELFIES, one[None], x[None])[0][0]) for x in (one, other))
        back = float(CALIBRATION.llr(SELFIES, SELFIES, other[None], one[None])[0][0])
        if same > max(two, back) + 0.5:
            return one, other, (same + max(two, back)) / 2


@pytest.mark.parametrize("hold", [False, True])
def test_a_duplicate_is_found_and_enrolled_all_the_same(stores: Stores, hold: bool) -> None:
    """Reported to operations, or held until they decide; never refused."""
    one, other, least = alike_and_not()
    service = Enrolling(stores, DuplicateCheck(identifier(stores), least, hold=hold))
    assert service.enroll("ada", one).problem is None
    assert service.enroll("bob", other).problem is None
    again = service.enroll("ada", one)
    assert again.problem is None, "oneself is no duplicate"
    twice = service.enroll("ada-again", one)
    assert twice.state is OperationState.SUCCEEDED
    assert twice.problem is not None
    assert twice.problem.code == ("duplicate-held" if hold else "possible-duplicate")
    (finding,) = findings_of(twice.operation_id, on=stores)
    assert (finding.subject_id, finding.other_subject_id) == ("ada-again", "ada")
    assert finding.llr >= least
    if hold:
        with pytest.raises(NotFound):
            load_template("ada-again", None, on=stores)
        (waiting,) = list_templates("ada-again", on=stores)
        activate_template("ada-again", waiting.template_id, on=stores)
    assert load_template("ada-again", None, on=stores).template_id == twice.template_id
    assert [f.operation_id for f in all_findings(on=stores)] == [twice.operation_id]
    delete_subject("ada", on=stores)
    assert all_findings(on=stores) == [], "a finding goes with either of the two"


class MovesAfterwards(MemoryIndex):
    """Between a search and the end of the enrollment that asked for it, somebody is moved."""

    def __init__(self, stores: Stores, name: str, mean: Array) -> None:
        super().__init__(stores, CALIBRATION)
        self.move = lambda: move(name, mean, stores, "other")

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        found = super().search(probe, count=count, least_llr=least_llr)
        self.move()
        return found


@pytest.mark.parametrize("moment", ["before", "during"])
def test_who_was_moved_to_another_model_is_known_again(stores: Stores, moment: str) -> None:
    """By the version of before, while this process still runs the model of before; once, and under the
    template in force.
    """
    one, other, least = alike_and_not()
    enroll("ada", one, stores)
    by = identifier(stores)
    if moment == "before":
        move("ada", other, stores, "other")
        found = searched(seen(one), limit=5, on=stores, by=by)
        assert [(c.subject_id, c.former) for c in found.candidates] == [("ada", True)]
        assert (found.searched, found.not_comparable) == (1, 0)
    else:
        by = replace(by, index=MovesAfterwards(stores, "ada", other))
    twice = Enrolling(stores, DuplicateCheck(by, least, hold=True)).enroll("ada-again", one)
    assert twice.problem is not None
    (finding,) = findings_of(twice.operation_id, on=stores)
    assert finding.other_subject_id == "ada"
    assert finding.template_id == load_template("ada", None, on=stores).template_id
    with stores.database.transaction() as tx:
        assert tx.templates.destroy_retired(retired_before=utc_now() + timedelta(days=1), limit=9)
    with pytest.raises(ModelMismatch, match="none of the 1 references"):
        searched(seen(one), limit=5, on=stores, by=identifier(stores))


class SearchesTogether(MemoryIndex):
    """Nobody goes on from a search before all have searched."""

    def __init__(self, stores: Stores, all_of_them: int) -> None:
        super().__init__(stores, CALIBRATION)
        self.barrier = threading.Barrier(all_of_them)

    def search(self, probe: SearchProbe, *, count: int, least_llr: float) -> SearchResult:
        found = super().search(probe, count=count, least_llr=least_llr)
        self.barrier.wait(timeout=10)
        return found


@pytest.mark.parametrize("hold", [False, True])
def test_duplicates_that_end_at_one_moment_see_each_other(stores: Stores, hold: bool) -> None:
    """None of the four is enrolled when they search. As if they had come one after another: each pair is
    found once, or all but one are held.
    """
    one, other, least = alike_and_not()
    index = SearchesTogether(stores, all_of_them=5)
    index._load().join(10)
    service = Enrolling(stores, DuplicateCheck(replace(identifier(stores), index=index), least, hold=hold))
    names = [f"twin-{n}" for n in range(4)]
    people = [(name, one) for name in names] + [("alone", other)]
    with ThreadPoolExecutor(5) as pool:
        *twins, alone = pool.map(lambda person: service.enroll(*person), people)
    assert alone.problem is None
    found = all_findings(on=stores)
    first = [t.subject_id for t in twins if t.problem is None]
    assert len(first) == 1
    pairs = {frozenset((f.subject_id, f.other_subject_id)) for f in found}
    assert len(pairs) == len(found) == (3 if hold else 6)
    assert all(t.state is OperationState.SUCCEEDED for t in twins)
    assert [len(findings_of(t.operation_id, on=stores)) > 0 for t in twins] == [
        t.problem is not None for t in twins
    ]
    with stores.database.snapshot() as tx:
        assert tx.references.count() == (2 if hold else 5)
    assert verify_audit(on=stores).broken is None


@dataclass
class Observing(ScriptedCompute):
    """A kiosk's capture shows this person."""

    mean: Array = field(default_factory=lambda: np.zeros(MODES))

    def observe(self, visit: KioskVisit) -> ObservedVisit:
        return seen(self.mean)


def test_the_door_asks_for_its_scope_and_its_setting(
    tmp_path: Path, stack: Stack, opened: OpenStores
) -> None:
    stores, enrolled = opened.stores, people(3)
    for name, mean in enrolled.items():
        enroll(name, mean, stores)
    settings = settings_for(stack, tmp_path / "other")
    service = Service(settings, stores, Observing(mean=enrolled["person-1"]), ListQueue(), True, {})
    visit = [
        ("depth", ("d", b"x")),
        ("intrinsics", (None, '{"width": 4, "height": 4, "fx": 4.0, "fy": 4.0, "cx": 1.5, "cy": 1.5}')),
    ]
    key = authorization(stores, Scope.IDENTIFY)
    off = TestClient(create_app(service)).post("/v1/identifications", headers=key, files=visit)
    assert (off.status_code, off.json()["type"]) == (409, "/problems/identification-off")
    client = TestClient(create_app(replace(service, identifier=identifier(stores))))
    refused = client.post(
        "/v1/identifications", headers=authorization(stores, Scope.VERIFY, Scope.OPS), files=visit
    )
    assert refused.status_code == 403
    answer = client.post("/v1/identifications?limit=2", headers=key, files=visit)
    body = answer.json()
    assert (answer.status_code, len(body["candidates"]), body["searched"]) == (200, 2, 3)
    assert client.post("/v1/identifications?limit=21", headers=key, files=visit).status_code == 422
    counted = b'recon_identifications_total{decision="CANDIDATES",policy="lenient"} 1.0'
    assert counted in service.telemetry.metrics.text()
    with stores.database.snapshot() as tx:
        entries = list(tx.audit.entries(action="identification"))
    assert [entry.outcome.split()[0] for entry in entries] == ["CANDIDATES"]
    assert not any(name in str(entries) for name in enrolled), "whom it found is not in the log"
    assert verify_audit(on=stores).broken is None
    for schema, example in (
        (IdentificationBody, IDENTIFICATION),
        (IdentificationBody, NOBODY),
        (DuplicatesBody, DUPLICATES),
    ):
        assert set(schema.model_validate(example).model_dump()) == set(example)


def test_findings_are_for_operations_and_names_are_theirs_alone(
    tmp_path: Path, stack: Stack, opened: OpenStores
) -> None:
    stores = opened.stores
    one, _, least = alike_and_not()
    enrolling = Enrolling(stores, DuplicateCheck(identifier(stores), least))
    enrolling.enroll("ada", one)
    found = enrolling.enroll("ada-again", one)
    settings = settings_for(stack, tmp_path / "other")
    client = TestClient(create_app(Service(settings, stores, ScriptedCompute(), ListQueue(), True, {})))
    address = f"/v1/operations/{found.operation_id}/duplicates"
    (told,) = client.get(address, headers=authorization(stores, Scope.ENROLL)).json()["duplicates"]
    assert (told["subject_id"], told["other_subject_id"], told["other_template_id"]) == (
        "ada-again",
        None,
        None,
    )
    ops = authorization(stores, Scope.OPS)
    assert client.get(address, headers=ops).json()["duplicates"][0]["other_subject_id"] == "ada"
    page = client.get("/v1/duplicates?limit=5", headers=ops).json()
    assert (len(page["duplicates"]), page["next_after"]) == (1, None)
    assert client.get("/v1/operations/op_x/duplicates", headers=ops).status_code == 404


def test_the_settings_switch_it_on(opened: OpenStores, tmp_path: Path) -> None:
    assert open_identifier(Settings(state_dir=tmp_path), opened) is None
    with pytest.raises(SettingsInvalid):
        open_identifier(Settings(state_dir=tmp_path, duplicate_check="report"), opened)
    settings = Settings(
        state_dir=tmp_path,
        identification="memory",
        duplicate_check="hold",
        duplicate_llr=2.5,
        model="builtin",
    )
    made = open_identifier(settings, opened)
    check = open_duplicate_check(settings, made)
    assert made is not None
    assert check is not None
    assert (check.least_llr, check.hold, check.by) == (2.5, True, made)

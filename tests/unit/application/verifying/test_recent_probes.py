"""Recent probes: kept by consent and no longer than it lasts, exact enough to be compared again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.probe_format import probe_bytes, read_probe
from recon_service.application.computing.rescoring import as_of, scored
from recon_service.application.computing.version_comparison import versions_compared
from recon_service.application.enrolling.consents import renew_consent
from recon_service.application.ports.stores import Stores, utc_now
from recon_service.application.records.consents import Consent, probes_allowed
from recon_service.application.records.operations import OperationState
from recon_service.application.records.probes import ProbePolicy, ProbeSeen, RecentProbe
from recon_service.application.records.visits import KioskVisit, VerificationOutcome
from recon_service.application.templates.subjects import delete_subject
from recon_service.application.verifying.attempts import LockoutPolicy
from recon_service.application.verifying.lockouts import verify_guarded
from recon_service.application.verifying.recent_probes import opened_probes
from recon_service.comparison.appearance import AppearanceMaps
from recon_service.comparison.policy import Policy
from recon_service.domain.appearance import Appearance, Light
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import StorageFault
from recon_service.domain.posterior import IdentityPosterior
from recon_service.domain.template import ComparisonScore, Decision, Template, VerificationResult
from tests.people import plain_calibration
from tests.stacks import Stack
from tests.unit.application.batches_support import add_subject
from tests.unit.application.computing.test_version_comparison import posterior, template, visit
from tests.unit.application.stores import open_in

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MODES = 6
CALIBRATION = plain_calibration(MODES)
POLICY = Policy("policy", match_above=3.0, no_match_below=0.0)
KIOSK = KioskVisit((b"depth",), PinholeCamera(width=64, height=64, fx=60.0, fy=60.0, cx=32.0, cy=32.0))


def consent(n: int, state: OperationState | None, *, keeps: bool) -> Consent:
    return Consent(f"cns_{n}", "ada", None, f"c{n}", NOW + timedelta(days=n), state=state, keep_probes=keeps)


@pytest.mark.parametrize(
    ("states", "allowed"),
    [
        ([], False),
        ([(OperationState.SUCCEEDED, True)], True),
        ([(OperationState.SUCCEEDED, False)], False),
        ([(OperationState.SUCCEEDED, True), (None, False)], False),
        ([(OperationState.SUCCEEDED, False), (None, True)], True),
        # An enrollment that gave nothing changes nothing.
        ([(OperationState.SUCCEEDED, True), (OperationState.REJECTED, False)], True),
        ([(OperationState.SUCCEEDED, False), (OperationState.FAILED, True)], False),
        # One under way counts where it forbids, not where it allows.
        ([(OperationState.SUCCEEDED, True), (OperationState.RUNNING, False)], False),
        ([(OperationState.SUCCEEDED, False), (OperationState.QUEUED, True)], False),
        ([(OperationState.QUEUED, True)], False),
    ],
)
def test_the_consent_in_force_decides(
    states: list[tuple[OperationState | None, bool]], allowed: bool
) -> None:
    consents = [consent(n, state, keeps=keeps) for n, (state, keeps) in enumerate(states)]
    later = NOW + timedelta(days=9)
    assert probes_allowed(consents, later) is allowed
    assert probes_allowed(consents[::-1], later) is allowed
    assert not probes_allowed([replace(c, expires_at=later) for c in consents], later)


def probe(
    of: IdentityPosterior, *, looks: Appearance | None = None, decision: Decision = Decision.MATCH
) -> RecentProbe:
    return RecentProbe("probe_1", NOW, ProbeSeen(of, "generic", 1, looks), "test@1", "policy", decision, 4.5)


@pytest.mark.parametrize("with_picture", [True, False])
def test_a_probe_comes_back_as_it_was(with_picture: bool) -> None:
    rng = np.random.default_rng(1)
    half = rng.normal(size=(60, 60)) / 8
    seen = IdentityPosterior("space/60", rng.normal(size=60), half @ half.T + 0.1 * np.eye(60))
    looks = Appearance("net", "1", Light.INFRARED, rng.normal(size=32) / 12, 3) if with_picture else None
    kept = probe(seen, looks=looks)
    content = probe_bytes(kept)
    back = read_probe(content)
    assert np.array_equal(back.seen.posterior.mean, seen.mean)
    assert np.allclose(back.seen.posterior.covariance, seen.covariance, rtol=1e-6, atol=1e-7)
    if looks is None:
        assert back.seen.appearance is None
    else:
        assert back.seen.appearance is not None
        assert np.array_equal(back.seen.appearance.mean, looks.mean)
        assert back.seen.appearance.network == looks.network
    assert (back.probe_id, back.seen_at, back.decision, back.llr) == ("probe_1", NOW, Decision.MATCH, 4.5)
    assert len(content) < 12_000
    for damaged in (content[:-1], content + b"\0", b"", content[3:], b"\xff" * 100):
        with pytest.raises(StorageFault):
            read_probe(damaged)


def test_probes_tell_which_decisions_would_be_others() -> None:
    truth, other = 3.0 * np.eye(MODES)[:2]
    blurred = template("ada", posterior(other))
    sharp = replace(blurred, posterior=posterior(truth, variance=0.1))
    kept = probe(posterior(truth), decision=Decision.INCONCLUSIVE)
    (change,) = versions_compared([(blurred, sharp)], CALIBRATION, [[kept]], policy=POLICY).changes
    (found,) = change.probes
    maps = AppearanceMaps.none()
    assert found.score.candidate == pytest.approx(scored(sharp, kept.seen, CALIBRATION, maps).llr)
    assert found.score.candidate > found.score.former
    assert (found.former, found.candidate) == (Decision.NO_MATCH, Decision.MATCH)
    assert found.told is Decision.INCONCLUSIVE
    assert change.fall == -found.score.difference


def test_a_visit_is_not_compared_with_itself() -> None:
    joined = replace(visit(posterior(np.zeros(MODES))), captured_at=NOW)
    strengthened = template("ada", posterior(np.ones(MODES)), (joined,))
    assert as_of(strengthened, NOW).visits == ()
    assert as_of(strengthened, NOW + timedelta(seconds=1)).visits == (joined,)


class Sees:
    """A kiosk's compute: decides what a test wants, and shows what it saw where it may."""

    def __init__(self) -> None:
        self.decision = Decision.MATCH
        self.asked: list[bool] = []

    def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
        self.asked.append(visit.keep_probe)
        score = ComparisonScore(5.0, "a", "b", "table")
        attack = self.decision is Decision.PRESENTATION_ATTACK
        result = VerificationResult(self.decision, None if attack else score, (), "policy")
        seen = ProbeSeen(IdentityPosterior("space", np.zeros(2), np.eye(2)), "kinect2", 3)
        return VerificationOutcome(
            result, "table@1", {}, seen=seen if visit.keep_probe and not attack else None
        )


@pytest.fixture
def stores(tmp_path: Path, stack: Stack) -> Iterator[Stores]:
    opened = open_in(tmp_path / "state", stack)
    yield opened.stores
    opened.close()


def kept(stores: Stores, subject: str = "ada") -> list[RecentProbe]:
    with stores.database.snapshot() as tx:
        key = tx.subjects.key(subject)
        return opened_probes(subject, key, tx=tx, on=stores) if key else []


def verify(stores: Stores, compute: Sees, most: int = 2, *, refusals: bool = True) -> VerificationOutcome:
    return verify_guarded(
        "ada",
        KIOSK,
        api_key_id="kiosk",
        policy=LockoutPolicy(0, 0),
        on=stores,
        compute=compute,  # type: ignore[arg-type]
        probes=ProbePolicy(most, refusals=refusals),
    )


def test_what_is_kept_follows_consent_and_setting(stores: Stores) -> None:
    add_subject(stores, "ada")
    compute = Sees()
    verify(stores, compute)  # no consent says so
    renew_consent("ada", "c1", None, actor="app", on=stores, keep_probes=True)
    verify(stores, compute, most=0)  # the service does not want any
    assert compute.asked == [False, False]
    assert kept(stores) == []

    decisions = [Decision.MATCH, Decision.NO_MATCH, Decision.INCONCLUSIVE, Decision.PRESENTATION_ATTACK]
    for compute.decision in decisions:
        assert verify(stores, compute).seen is None, "nothing of it leaves by the door"
    assert [p.decision for p in kept(stores)] == [Decision.INCONCLUSIVE, Decision.NO_MATCH]
    with stores.database.snapshot() as tx:
        outcomes = [entry.outcome for entry in tx.audit.entries(action="verification")]
        (row, _) = tx.recent_probes.of("ada")
    assert ["probe-kept" in outcome for outcome in outcomes] == [False, False, True, True, True, False]
    assert b"kinect2" not in row.sealed

    renew_consent("ada", "c2", None, actor="app", on=stores)
    assert len(kept(stores)) == 2, "a renewal that says nothing of it leaves it as it was"
    with stores.database.transaction() as tx:
        assert tx.recent_probes.expire(before=utc_now() - timedelta(days=1), limit=9) == 0
        assert tx.recent_probes.expire(before=utc_now() + timedelta(days=1), limit=9) == 2
    compute.decision = Decision.MATCH
    verify(stores, compute)
    renew_consent("ada", "c3", None, actor="app", on=stores, keep_probes=False)
    with stores.database.snapshot() as tx:
        assert tx.recent_probes.of("ada") == []


@pytest.mark.parametrize("decision", [Decision.NO_MATCH, Decision.INCONCLUSIVE])
def test_nothing_is_kept_of_whoever_was_not_recognized(stores: Stores, decision: Decision) -> None:
    add_subject(stores, "ada")
    renew_consent("ada", "c1", None, actor="app", on=stores, keep_probes=True)
    compute = Sees()
    compute.decision = decision
    verify(stores, compute, refusals=False)
    assert kept(stores) == []
    compute.decision = Decision.MATCH
    verify(stores, compute, refusals=False)
    assert [p.decision for p in kept(stores)] == [Decision.MATCH]


def test_a_deletion_meanwhile_keeps_nothing(stores: Stores) -> None:
    add_subject(stores, "ada")
    renew_consent("ada", "c1", None, actor="app", on=stores, keep_probes=True)
    compute = Sees()
    verify(stores, compute)
    assert len(kept(stores)) == 1

    class Deletes(Sees):
        def verify(self, reference: Template, visit: KioskVisit) -> VerificationOutcome:
            delete_subject("ada", on=stores)
            return super().verify(reference, visit)

    deletes = Deletes()
    assert verify(stores, deletes).result.decision is Decision.MATCH
    assert deletes.asked == [True]
    with stores.database.snapshot() as tx:
        assert tx.recent_probes.of("ada") == []

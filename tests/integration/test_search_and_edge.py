"""Simulated people before a stereo camera: searched for among all, and verified by a kiosk without its
service. Everything runs but the network between them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from recon_service.application.computing.pipeline import FacePipeline
from recon_service.application.computing.verify import Probe, observe, verify
from recon_service.application.edge.bundles import add_member, make_bundle, register_kiosk
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.signing import service_signer
from recon_service.application.ports.stores import Stores
from recon_service.application.records.identifications import IdentificationDecision
from recon_service.application.records.operations import EnrollmentOutcome
from recon_service.application.records.visits import KioskVisit
from recon_service.application.searching.identification import Identifier, identify
from recon_service.application.templates.subjects import load_template
from recon_service.application.verifying.attempts import LockoutPolicy
from recon_service.assembly import ModelChoice, build_pipeline
from recon_service.bootstrap import build_compute, open_edge, open_identifier, open_stores
from recon_service.comparison.policies import DEFAULT_POLICY, load_policies
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.template import Decision
from recon_service.edge import EdgeKiosk, KioskKeys
from recon_service.edge.format import HpkeEdgeFormat
from recon_service.settings import Settings
from recon_service.simulation import KIOSK_CAMERA, Stereo, sample_head, simulate_capture
from recon_service.simulation.capture import visit_pose
from tests.unit.application.stores import GOOD, ListQueue, ScriptedCompute

PEOPLE = 3


@dataclass
class World:
    settings: Settings
    stores: Stores
    pipeline: FacePipeline
    by: Identifier
    second_visits: list[list[DepthFrame]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everybody is enrolled from two depth frames of a first visit."""
    settings = Settings(
        state_dir=tmp_path_factory.mktemp("state"),
        model="builtin",
        appearance="off",
        identification="memory",
        edge_policy=DEFAULT_POLICY,
    )
    pipeline = build_pipeline(ModelChoice.BUILTIN, appearance="off")
    opened = open_stores(settings)
    rng = np.random.default_rng(21)
    second = []
    while len(second) < PEOPLE:
        surface = sample_head(pipeline.model, rng).surface()
        frames = [simulate_capture(surface, KIOSK_CAMERA, visit_pose(rng), Stereo(), rng) for _ in range(4)]
        probes = [observe(some, pipeline) for some in (frames[:2], frames[2:])]
        if any(probe.posterior is None for probe in probes):
            continue  # frames that disagree: a kiosk asks for another visit
        enroll(f"person-{len(second)}", probes[0], pipeline, opened.stores)
        second.append(frames[2:])
    by = open_identifier(settings, opened)
    assert by is not None
    yield World(settings, opened.stores, pipeline, by, second)
    opened.close()


def enroll(subject_id: str, seen: Probe, pipeline: FacePipeline, stores: Stores) -> None:
    queue = ListQueue()
    assert seen.posterior is not None
    outcome = EnrollmentOutcome(
        (GOOD,) * len(seen.fits),
        seen.posterior,
        source=f"depth/{seen.source}",
        backend="depth",
        model=pipeline.model.name,
        calibration=pipeline.calibration.identity,
    )
    asked = request_enrollment(EnrollmentRequest(subject_id, (b"x",), "c"), on=stores, queue=queue)
    compute = ScriptedCompute(lambda _: outcome)
    run_enrollment(asked.operation.operation_id, on=stores, compute=compute, queue=queue, policy=JobPolicy())


def as_sent(frames: list[DepthFrame]) -> KioskVisit:
    depth = []
    for frame in frames:
        file = io.BytesIO()
        np.save(file, frame.depth.astype(np.float32))
        depth.append(file.getvalue())
    return KioskVisit(tuple(depth), frames[0].camera, camera_name=frames[0].camera_name)


def test_everybody_is_found_among_all_and_scored_as_in_a_verification(world: World) -> None:
    policy = load_policies()[DEFAULT_POLICY]
    compute = build_compute(world.settings)
    for number, frames in enumerate(world.second_visits[:2]):
        found = identify(
            as_sent(frames),
            limit=5,
            api_key_id="a",
            policy=LockoutPolicy(),
            on=world.stores,
            compute=compute,
            by=world.by,
        )
        assert found.decision is IdentificationDecision.CANDIDATES
        best = found.candidates[0]
        assert (best.subject_id, found.searched) == (f"person-{number}", PEOPLE)
        reference = load_template(best.subject_id, None, on=world.stores)
        verified = verify(frames, reference, world.pipeline, policy)
        assert verified.score is not None
        assert best.score.llr == pytest.approx(verified.score.llr, abs=1e-3), "float32 on the wire"


def test_a_kiosk_alone_decides_as_the_service_does(world: World, tmp_path: Path) -> None:
    stores, site = world.stores, "lobby"
    keys = KioskKeys.generate(tmp_path / "keys")
    kiosk_record = register_kiosk(
        site, recipient=keys.recipient, signing=keys.signing, actor="a", on=stores, by=HpkeEdgeFormat()
    )
    for number in range(PEOPLE - 1):
        add_member(site, f"person-{number}", actor="a", on=stores)
    bundle = make_bundle(site, kiosk_record.kiosk_id, actor="a", on=stores, by=open_edge(world.settings))
    EdgeKiosk.set_up(tmp_path / "edge", keys)
    kiosk = EdgeKiosk(
        tmp_path / "edge", keys, trusted=service_signer(on=stores).public, pipeline=world.pipeline
    )
    assert kiosk.install(bundle).head.templates == PEOPLE - 1
    own = kiosk.verify_offline("person-0", world.second_visits[0])
    other = kiosk.verify_offline("person-1", world.second_visits[0])
    assert own.result.decision is Decision.MATCH
    assert other.result.decision is not Decision.MATCH
    assert kiosk.unreported() == 2

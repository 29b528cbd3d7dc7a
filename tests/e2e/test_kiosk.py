"""From selfies over HTTP to a decision at a kiosk with the RealSense SDK's software device: nothing between
them is a stand-in but the light that falls on the sensor.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from recon_service.comparison.policies import DEFAULT_POLICY
from recon_service.domain.depth_frame import DepthFrame
from recon_service.edge import KioskKeys
from recon_service.kiosk.cameras.camera import CameraSession
from recon_service.kiosk.cameras.realsense import RealSenseCamera
from recon_service.kiosk.capture import Capture
from recon_service.kiosk.edge_mode import Line, SiteBundle
from recon_service.kiosk.errors import OfflineRefused
from recon_service.kiosk.offline import OfflinePolicy, WhenOffline
from recon_service.kiosk.seen_face import on_this_device
from recon_service.kiosk.service import Service, Session, Times, Verdict
from recon_service.kiosk.visit import Kiosk, VisitResult
from tests.integration.running import Server, enroll, eventually
from tests.kiosk_devices import SoftwareRealSense
from tests.kiosk_people import Visitor, flat_print, visitor
from tests.servers.processes import ends_with_parent
from tests.servers.proxy import Proxy

pytest.importorskip("pyrealsense2", reason="the package pyrealsense2 is not installed")


KIOSK_RUN = (sys.executable, "-m", "recon_service", "kiosk", "run")


def enroll_by_selfies(server: Server, subject_id: str, selfies: Sequence[bytes]) -> None:
    """What comes before the kiosk: the app's back end enrolls, the worker does it."""
    with server.client() as client:
        operation = enroll(client, subject_id, *selfies)
    assert operation["state"] == "succeeded", operation["problem"]


def stand_before_the_kiosk(
    server: Server,
    subject_id: str,
    frames: Sequence[DepthFrame],
    *,
    service: Service | None = None,
    bundle: SiteBundle | None = None,
) -> VisitResult:
    """A visit of somebody who says that they are ``subject_id``, with the real SDK between. service: another
    way to the server. bundle: what decides without the server.
    """
    device = SoftwareRealSense(frames, every_s=1 / 30, alive=True)
    camera = RealSenseCamera(device=device.device, camera_name=frames[0].camera_name)
    offline = OfflinePolicy(WhenOffline.REFUSE if bundle is None else WhenOffline.BUNDLE)
    with service or Service(server.url, server.key, times=Times(answer=30.0, visit=60.0)) as way:
        kiosk = Kiosk(on_this_device(), way, offline=offline, bundle=bundle)
        with device.running(), CameraSession(camera) as session:
            return kiosk.visit(subject_id, session.frames())


class LineThatBreaks(Service):
    """The first verification reaches the service, and its answer never comes back."""

    def __init__(self, server: Server, proxy: Proxy) -> None:
        times = Times(answer=8.0, visit=60.0)
        super().__init__(f"http://127.0.0.1:{proxy.port}", server.key, times=times)
        self.proxy, self.sent = proxy, 0

    def verify_once(self, session: Session, capture: Capture) -> Verdict:
        self.sent += 1
        self.proxy.stalled = self.sent == 1
        try:
            return super().verify_once(session, capture)
        finally:
            if self.proxy.stalled:
                self.proxy.cut()
                self.proxy.stalled = False


@pytest.fixture(scope="module")
def person(weights_mirror: Path) -> Visitor:
    return visitor(0)


@pytest.fixture(scope="module")
def server(person: Visitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the dense model, one person enrolled, and kiosk sessions required as in production."""
    settings = {
        "RECON_MODEL": "dense",
        "RECON_KIOSK_SESSIONS": "required",
        "RECON_EDGE_POLICY": DEFAULT_POLICY,
    }
    running = Server(tmp_path_factory.mktemp("kiosk") / "state", settings).start(ready=False)
    try:
        # The dense model takes its time on a busy machine.
        assert eventually(lambda: httpx.get(f"{running.url}/readyz").is_success, limit_s=240)
        enroll_by_selfies(running, "user-0", person.selfies)
        yield running
    finally:
        running.stop()


def test_the_person_enrolled_is_recognized(server: Server, person: Visitor) -> None:
    result = stand_before_the_kiosk(server, "user-0", person.frames)
    assert result.decision == "MATCH", result
    assert result.bytes_sent <= 300_000


def test_somebody_else_is_not(server: Server) -> None:
    result = stand_before_the_kiosk(server, "user-0", visitor(1, selfies=0).frames)
    assert result.decision == "NO_MATCH", result


def test_a_print_of_the_person_is_an_attack(server: Server, person: Visitor) -> None:
    result = stand_before_the_kiosk(server, "user-0", flat_print(person))
    assert result.decision == "PRESENTATION_ATTACK", result


def test_a_decision_that_nobody_heard_is_made_anew_with_new_frames(server: Server, person: Visitor) -> None:
    proxy = Proxy(server.port).start()
    try:
        line = LineThatBreaks(server, proxy)
        result = stand_before_the_kiosk(server, "user-0", person.frames, service=line)
    finally:
        proxy.close()
    assert result.decision == "MATCH", result
    assert line.sent == 2


def test_a_cut_line_the_sites_bundle_decides_and_the_service_hears_of_it(
    server: Server, person: Visitor, tmp_path: Path
) -> None:
    keys = KioskKeys.generate(tmp_path / "keys")
    with server.client() as ops:
        public = {"recipient": keys.recipient, "signing": keys.signing}
        known = ops.post("/v1/sites/lobby/kiosks", json=public).raise_for_status().json()
        ops.put("/v1/sites/lobby/subjects/user-0").raise_for_status()
    proxy = Proxy(server.port).start()

    def way() -> Service:
        short = Times(connect=1.0, answer=30.0, visit=1.0)
        return Service(f"http://127.0.0.1:{proxy.port}", server.key, times=short)

    try:
        with way() as kept:
            line = Line(kept, "lobby", known["kiosk_id"])
            bundle = SiteBundle(tmp_path / "edge", keys, line, trusted=known["service"])
            assert bundle.report() == 0
            proxy.refuse()
            with pytest.raises(OfflineRefused):
                stand_before_the_kiosk(server, "user-0", person.frames, service=way())
            result = stand_before_the_kiosk(server, "user-0", person.frames, service=way(), bundle=bundle)
            assert (result.decision, result.offline) == ("MATCH", True), result
            with pytest.raises(OfflineRefused):
                stand_before_the_kiosk(server, "not-here", person.frames, service=way(), bundle=bundle)
            assert bundle.unreported() == 1
            proxy.start()
            assert bundle.report() == 1
            assert bundle.unreported() == 0
    finally:
        proxy.close()
    with server.database() as connection:
        actions = {row.action for row in connection.execute(sa.text("select action from audit_log"))}
    assert "edge.verification" in actions


@pytest.fixture
def page(server: Server, tmp_path: Path) -> Iterator[str]:
    """Address of the screen of `recon kiosk run` with the simulated camera, a program of its own."""
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            ends_with_parent([*KIOSK_RUN, "--camera", "simulated:7"]),
            stdout=subprocess.PIPE,
            stderr=log,
            env={**server.environment(), "RECON_API_KEY": server.key, "RECON_URL": server.url},
            text=True,
        )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
        assert process.poll() is None, (tmp_path / "log").read_text()
        said = (tmp_path / "log").read_text()
        assert "user-0" not in said
        assert server.key not in said
    finally:
        process.terminate()
        process.wait(60)


def ask_as_a_till(page: str, subject: str) -> dict[str, Any]:
    """The result of a visit, once the result of the visit before has left the screen."""
    answers: list[httpx.Response] = []

    def asked() -> bool:
        answers.append(httpx.post(f"{page}visits", json={"subject_id": subject}, timeout=120.0))
        return answers[-1].status_code != 409

    assert eventually(asked, limit_s=60)
    return dict(answers[-1].raise_for_status().json())


def test_the_till_gets_a_decision_or_why_there_is_none(page: str) -> None:
    assert page.startswith("http://127.0.0.1:")
    unknown = ask_as_a_till(page, "nobody")
    assert (unknown["error"], "decision" in unknown) == ("service-refused", False)
    told = ask_as_a_till(page, "user-0")
    assert told["decision"] in ("NO_MATCH", "INCONCLUSIVE"), "the simulated head is somebody else's"
    assert told["bytes_sent"] <= 300_000
    assert told["milliseconds"]["capture to decision"] > 0

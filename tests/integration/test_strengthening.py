"""Templates of real people, strengthened by their visits, over the API: bytes of pictures and depth maps
in.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recon_service.api.app import create_app
from recon_service.api.service import Service
from recon_service.application.enrolling.enrollment_runs import JobPolicy, run_enrollment
from recon_service.application.enrolling.enrollments import EnrollmentRequest, request_enrollment
from recon_service.application.keeping.keys import create_api_key
from recon_service.application.ports.stores import utc_now
from recon_service.application.records.access import Scope
from recon_service.application.templates.subjects import load_template
from recon_service.bootstrap import build_compute, open_stores
from recon_service.demo.client import depth_png, intrinsics
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import Image
from recon_service.evaluation.dataset import Medium
from recon_service.evaluation.datasets.kinect2 import Kinect2Person, kinect2
from recon_service.evaluation.png import png
from recon_service.settings import Settings
from recon_service.telemetry import configure_logging
from tests.unit.application.stores import ListQueue

ENROLLED = (0, 6, 12, 18, 24)
STRONG, LATER, ANOTHER = (34, 40, 46), (1, 7, 13), (33, 39, 45)
SIDE = 160
Answer = dict[str, Any]


class Kiosk:
    """A service, and what the kiosk and operations do to it."""

    def __init__(self, folder: Path, cases: Path) -> None:
        dataset = kinect2(cases / "kinect2_dev")
        self.people = {one.name: one for one in dataset.subjects if isinstance(one, Kinect2Person)}
        settings = Settings(state_dir=folder, model="dense", appearance="off", policy="pilot-strengthening-1")
        self.opened = open_stores(settings)
        self.days = 0
        stores = dataclasses.replace(self.opened.stores, clock=lambda: utc_now() + timedelta(days=self.days))
        made = build_compute(settings)
        compute = dataclasses.replace(
            made,
            pipeline=dataclasses.replace(
                made.pipeline, quality_limits=dataset.quality_limits, image_limits=dataset.image_limits
            ),
        )
        self.service = Service(settings, stores, compute, ListQueue(), development_keys=False, checks={})
        self.client = TestClient(create_app(self.service))
        self.keys = {
            scopes: {"Authorization": f"Bearer {create_api_key('k', scopes, on=stores).token}"}
            for scopes in ((Scope.VERIFY,), (Scope.VERIFY, Scope.CONFIRM), (Scope.OPS,))
        }

    def enroll(self, name: str) -> None:
        person, queue, stores = self.people[name], ListQueue(), self.service.stores
        items = {item.label: item for item in person.items() if item.medium is Medium.IMAGE}
        pictures = tuple(person.picture(items[f"{frame:02d}"]) for frame in ENROLLED)
        made = request_enrollment(EnrollmentRequest(name, pictures, "consent"), on=stores, queue=queue)
        run_enrollment(
            made.operation.operation_id,
            on=stores,
            compute=self.service.compute,
            queue=queue,
            policy=JobPolicy(),
        )

    def visit(
        self, subject: str, who: str, frames: Sequence[int], *, confirmed: str = "", flat: bool = False
    ) -> Answer:
        answer = self.post(subject, who, frames, confirmed=confirmed, flat=flat)
        assert answer.status_code == 200, answer.text
        body: Answer = answer.json()
        return body

    def post(
        self, subject: str, who: str, frames: Sequence[int], *, confirmed: str = "", flat: bool = False
    ) -> Any:
        person = self.people[who]
        seen = [_on_canvas(person.captures.depth(frame), flat=flat) for frame in frames]
        files: list[tuple[str, Any]] = [("depth", ("d.png", depth_png(frame))) for frame in seen]
        files += [("image", ("i.png", png(frame.image.pixels))) for frame in seen if frame.image]
        files.append(("intrinsics", (None, json.dumps(intrinsics(seen[0])))))
        files += [("confirmed", (None, confirmed))] if confirmed else []
        scopes = (Scope.VERIFY, Scope.CONFIRM) if confirmed else (Scope.VERIFY,)
        return self.client.post(
            f"/v1/subjects/{subject}/verifications", headers=self.keys[scopes], files=files
        )

    def ops(self, method: str, path: str) -> Answer:
        answer = self.client.request(method, f"/v1/subjects/{path}", headers=self.keys[(Scope.OPS,)])
        assert answer.status_code == 200, answer.text
        body: Answer = answer.json()
        return body

    def content(self, subject: str) -> bytes:
        """All of the active template but the id and moment of its version."""
        template = load_template(subject, None, on=self.service.stores)
        same = dataclasses.replace(template, template_id="t", created_at=template.created_at.min)
        return self.service.stores.template_format.write(same)


@pytest.fixture(scope="module")
def kiosk(tmp_path_factory: pytest.TempPathFactory, cases: Path) -> Iterator[Kiosk]:
    configure_logging(level="error", format="json")
    made = Kiosk(tmp_path_factory.mktemp("kiosk"), cases)
    made.enroll("s02")
    yield made
    made.opened.close()


def test_a_strong_visit_makes_the_next_ones_clearer_and_can_be_taken_back(kiosk: Kiosk) -> None:
    enrolled = kiosk.content("s02")
    unchanged = [
        kiosk.visit("s02", "s02", STRONG[:1]),
        kiosk.visit("s02", "s03", STRONG),
        kiosk.visit("s02", "s02", STRONG, flat=True),
    ]
    assert [answer["decision"] for answer in unchanged[1:]] == ["NO_MATCH", "PRESENTATION_ATTACK"]
    assert not any(answer["strengthened"] for answer in unchanged)
    assert kiosk.content("s02") == enrolled

    strong = kiosk.visit("s02", "s02", STRONG)
    assert (strong["decision"], strong["strengthened"]) == ("MATCH", True)
    clearer = kiosk.visit("s02", "s02", LATER)
    assert (clearer["reference_source"], clearer["strengthened"]) == ("depth/kinect2", False), "one a day"
    other = kiosk.visit("s02", "s03", LATER)
    assert other["decision"] == "NO_MATCH"

    (visit,) = kiosk.ops("GET", "s02/visits")["visits"]
    assert (visit["source"], visit["captures"], visit["confirmed"]) == ("depth/kinect2", 3, False)
    assert visit["score"] == strong["score"]
    assert kiosk.ops("DELETE", f"s02/visits/{visit['visit_id']}")["visits"] == []
    assert kiosk.content("s02") == enrolled
    plain = kiosk.visit("s02", "s02", LATER)
    assert plain["reference_source"] == "selfies-photometric/infrared"
    assert clearer["score"] > plain["score"]


def test_card_and_pin_count_once_two_visits_agree(kiosk: Kiosk) -> None:
    kiosk.enroll("s00")
    before = kiosk.visit("s00", "s00", ANOTHER)
    assert before["decision"] == "INCONCLUSIVE"
    refused = kiosk.client.post(
        "/v1/subjects/s00/verifications",
        headers=kiosk.keys[(Scope.VERIFY,)],
        files=[
            ("depth", ("d", b"x")),
            ("intrinsics", (None, INTRINSICS)),
            ("confirmed", (None, "card-and-pin")),
        ],
    )
    assert refused.status_code == 403
    assert kiosk.post("s00", "s00", ANOTHER, confirmed="password").status_code == 422

    sources = []
    for frames in ((31, 37, 43), LATER):
        kiosk.days += 2
        answer = kiosk.visit("s00", "s00", frames, confirmed="card-and-pin")
        assert answer["strengthened"], answer
        sources.append(answer["reference_source"])
    assert sources == ["selfies-photometric/infrared"] * 2, "one confirmed visit decides nothing"
    after = kiosk.visit("s00", "s00", ANOTHER)
    assert (after["decision"], after["reference_source"]) == ("MATCH", "depth/kinect2")
    assert after["score"] > before["score"]
    assert [visit["confirmed"] for visit in kiosk.ops("GET", "s00/visits")["visits"]] == [True, True]


INTRINSICS = json.dumps({"width": 4, "height": 4, "fx": 4.0, "fy": 4.0, "cx": 1.5, "cy": 1.5})


def _on_canvas(frame: DepthFrame, *, flat: bool) -> DepthFrame:
    """The crop in the middle of a map of one size, as a camera would give it. flat: a print of the
    picture.
    """
    height, width = frame.depth.shape
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    depth = np.zeros((SIDE, SIDE), dtype=frame.depth.dtype)
    picture = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    seen = frame.depth if not flat else np.where(frame.depth > 0, np.median(frame.depth[frame.depth > 0]), 0)
    depth[top : top + height, left : left + width] = seen
    if frame.image is not None:
        picture[top : top + height, left : left + width] = frame.image.pixels
    fx, fy = frame.camera.fx, frame.camera.fy
    camera = PinholeCamera(SIDE, SIDE, fx, fy, (SIDE - 1) / 2, (SIDE - 1) / 2)
    return DepthFrame.from_array(depth, camera=camera, camera_name=frame.camera_name, image=Image(picture))

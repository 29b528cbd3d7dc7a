"""What a mobile app and a kiosk do, in the fewest lines: enroll and follow, verify."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from PIL import Image as PillowImage

from recon_service.demo.service import RunningService
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import ServiceFault

POLL_SECONDS = 0.05
WAIT_SECONDS = 120.0
UNITS_PER_MILLIMETRE = 10
"""Depth is sent in tenths of a millimetre: 16 bits reach 6.5 m, and rounding stays far below the noise."""


class UnexpectedAnswer(ServiceFault):
    """The service answered what the demo did not expect."""

    code = "unexpected-answer"
    title = "The service gave an unexpected answer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Answer to a verification."""

    decision: str
    score: float | None


class Client:
    """One caller of one service."""

    def __init__(self, service: RunningService) -> None:
        headers = {"Authorization": f"Bearer {service.api_key}"}
        self._http = httpx.Client(base_url=service.url, headers=headers, timeout=60.0)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._http.close()

    def enroll(
        self,
        subject: str,
        selfies: Sequence[bytes],
        *,
        progress: Callable[[str, float], None] = lambda stage, share: None,
    ) -> dict[str, Any]:
        """Enroll and wait for the end; returns the operation, whatever came of it."""
        answer = self._http.post(
            f"/v1/subjects/{subject}/enrollments",
            headers={"Idempotency-Key": f"demo-{subject}"},
            data={"consent_id": "demo"},
            files=[("selfies", (f"{n}.jpg", s, "image/jpeg")) for n, s in enumerate(selfies)],
        )
        _expect(answer, 202)
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            operation = _expect(self._http.get(answer.headers["location"]), 200).json()
            progress(operation["stage"], float(operation["progress"]))
            if operation["ended_at"] is not None:
                return dict(operation)
            time.sleep(POLL_SECONDS)
        raise UnexpectedAnswer(f"the enrollment of {subject} did not end within {WAIT_SECONDS:g} s")

    def mesh(self, operation: dict[str, Any]) -> bytes:
        """The GLB of what an enrollment found."""
        return _expect(self._http.get(operation["links"]["mesh"]), 200).content

    def verify(self, subject: str, frames: Sequence[DepthFrame]) -> Verdict:
        """One visit to the kiosk: frames of one camera."""
        files = [("depth", (f"{n}.png", depth_png(f), "image/png")) for n, f in enumerate(frames)]
        files += [
            ("image", (f"{n}.png", _png(f.image.pixels), "image/png"))
            for n, f in enumerate(frames)
            if f.image is not None
        ]
        answer = self._http.post(
            f"/v1/subjects/{subject}/verifications",
            data={"intrinsics": json.dumps(intrinsics(frames[0]))},
            files=files,
        )
        body = _expect(answer, 200).json()
        return Verdict(str(body["decision"]), body["score"])


def intrinsics(frame: DepthFrame) -> dict[str, Any]:
    """What a kiosk says about its depth camera, for depth maps from ``depth_png``."""
    camera = frame.camera
    return {
        "width": camera.width,
        "height": camera.height,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "distortion": list(camera.distortion),
        "millimetres_per_unit": 1 / UNITS_PER_MILLIMETRE,
        "camera": frame.camera_name,
    }


def depth_png(frame: DepthFrame) -> bytes:
    """The depth map as a 16-bit gray PNG in tenths of a millimetre; what lies beyond 6.5 m counts as not
    measured.
    """
    units = np.round(frame.depth * UNITS_PER_MILLIMETRE)
    return _png(np.where(units > np.iinfo(np.uint16).max, 0, units).astype(np.uint16))


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise UnexpectedAnswer(
            f"{asked}: {answer.status_code} {body.get('detail', '')}",
            next_step=str(body.get("next_step", "")),
        )
    return answer

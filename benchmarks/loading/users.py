"""What locust runs: kiosks, mobile apps, and the same apps against the peer. Rates and places come from the
environment; every answer is written down with its time, as a line of JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import gevent
import numpy as np
from locust import FastHttpUser, events, task
from urllib3.filepost import encode_multipart_formdata

from benchmarks.loading.people import FreshFrames
from recon_service.domain.kiosk_proof import capture_proof, capture_statement

PEOPLE = Path(os.environ["LOAD_PEOPLE"])
RESULTS = Path(os.environ["LOAD_RESULTS"]).open("a", buffering=1)  # noqa: SIM115
KEY = {"Authorization": f"Bearer {os.environ.get('LOAD_KEY', '')}"}
KIOSK_RATE = float(os.environ.get("LOAD_KIOSK_RATE", "0.5"))
APP_RATE = float(os.environ.get("LOAD_APP_RATE", "0.5"))
USERS = int(os.environ.get("LOAD_USERS", "1"))
BATCH = os.environ.get("LOAD_BATCH", "false")
INTRINSICS = (PEOPLE / "intrinsics.json").read_text()
NAMES = sorted(p.name for p in PEOPLE.iterdir() if p.is_dir())
FRAMES = {name: FreshFrames(np.load(PEOPLE / name / "visit.npz")["frames"]) for name in NAMES}
SELFIES = {name: [p.read_bytes() for p in sorted((PEOPLE / name).glob("selfie-*"))] for name in NAMES}
numbers = itertools.count()
turns = itertools.count()
rng = np.random.default_rng()


@events.request.add_listener
def write_down(
    name: str, response_time: float, response: Any, exception: Any, start_time: float, **_: Any
) -> None:
    """One line per answer."""
    status = getattr(response, "status_code", 0) or 0
    good = exception is None and status < 400
    line = {"name": name, "at": start_time, "ms": response_time, "status": status, "good": good}
    RESULTS.write(json.dumps(line) + "\n")


def pace(rate: float) -> Callable[[Any], float]:
    """How long a user waits for its next request: evenly spread over all users, or at random moments.

    Not locust's own: it begins users in bursts, and they would stay together ever after.
    """

    def wait(user: Any) -> float:
        if os.environ.get("LOAD_RANDOM") and rate <= 1000:
            return float(rng.exponential(1 / rate))
        user.due += 1 / rate
        return max(0.0, user.due - time.monotonic())

    return wait


def take_turn(user: Any, rate: float) -> None:
    """Users begin one after the other within the time between two requests of one."""
    first = next(turns) / USERS / rate
    user.due = time.monotonic() + first
    gevent.sleep(first)


class Kiosk(FastHttpUser):
    """Somebody stands before it: a session, three depth frames, a decision."""

    wait_time = pace(KIOSK_RATE)

    def on_start(self) -> None:
        take_turn(self, KIOSK_RATE)

    @task
    def verify(self) -> None:
        who = NAMES[rng.integers(len(NAMES))]
        opened = self.client.post("/v1/kiosk-sessions", json={}, headers=KEY, name="session").json()
        frames = FRAMES[who].take(rng)
        statement = capture_statement(
            session_id=opened["session_id"], subject_id=who, depth=frames, images=(), intrinsics=INTRINSICS
        )
        proof = {
            "Kiosk-Session": opened["session_id"],
            "Kiosk-Proof": capture_proof(opened["nonce"], statement),
        }
        parts = [("depth", ("d.png", f, "image/png")) for f in frames] + [("intrinsics", INTRINSICS)]
        body, kind = encode_multipart_formdata(parts)
        headers = {**KEY, **proof, "Content-Type": kind}
        self.client.post(f"/v1/subjects/{who}/verifications", data=body, headers=headers, name="verification")


class App(FastHttpUser):
    """Somebody enrolls with three selfies."""

    wait_time = pace(APP_RATE)
    fields: ClassVar = [("consent_id", "consent-load"), ("batch", BATCH)]
    path, named = "/v1/subjects/load-{}/enrollments", "enrollment"

    def on_start(self) -> None:
        take_turn(self, APP_RATE)

    @task
    def enroll(self) -> None:
        number = next(numbers)
        pictures = SELFIES[NAMES[number % len(NAMES)]]
        parts = [("selfies", ("s.jpg", p, "image/jpeg")) for p in pictures] + list(self.fields)
        body, kind = encode_multipart_formdata(parts)
        path = self.path.format(f"{os.getpid()}-{number}")
        self.client.post(path, data=body, headers={**KEY, "Content-Type": kind}, name=self.named)


class PeerApp(App):
    """The same pictures, sent to the peer."""

    fields: ClassVar = []
    path, named = "/subjects/load-{}/enrollments", "peer"

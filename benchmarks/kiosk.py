"""From a good frame to a decision: `python benchmarks/kiosk.py --visits 40`.

A service as a process of its own, one person enrolled from five selfies, and a kiosk that plays recorded
frames at the speed of a camera. Prints the stages of the kiosk and of the service, and the bytes of a
verification.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from recon_service.demo.client import Client
from recon_service.demo.service import running_service
from recon_service.demo.simulated import jpeg
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.images import Image
from recon_service.kiosk.cameras.camera import CameraFrame, CameraSession
from recon_service.kiosk.cameras.files import FileCamera
from recon_service.kiosk.cameras.recorder import Recorder
from recon_service.kiosk.cameras.simulated import as_camera_frame
from recon_service.kiosk.seen_face import on_this_device
from recon_service.kiosk.service import Service
from recon_service.kiosk.visit import Kiosk, VisitLimits, VisitResult
from recon_service.simulation import KIOSK_CAMERA, Stereo, StructuredLight
from recon_service.simulation.population import PopulationSpec, SyntheticPopulation

SENSORS = {"structured-light": StructuredLight(), "stereo": Stereo()}
FRAMES = 12
WARM = 2


class Alive:
    """A file camera whose frames are never equal, as a sensor's: the service refuses a capture that it
    saw.
    """

    def __init__(self, camera: FileCamera, *, picture: bool) -> None:
        self._camera, self._picture = camera, picture
        self._rng = np.random.default_rng()

    @property
    def camera_name(self) -> str:
        return self._camera.camera_name

    def start(self) -> None:
        self._camera.start()

    def read(self, timeout_s: float = 2.0) -> CameraFrame | None:
        frame = self._camera.read(timeout_s)
        assert frame is not None
        depth = frame.depth + self._rng.integers(0, 2, frame.depth.shape, np.uint16) * (frame.depth > 0)
        return CameraFrame(
            depth=depth.astype(np.uint16),
            millimetres_per_unit=frame.millimetres_per_unit,
            camera=frame.camera,
            timestamp_ms=frame.timestamp_ms,
            number=frame.number,
            picture=frame.picture if self._picture else None,
            camera_name=frame.camera_name,
        )

    def stop(self) -> None:
        self._camera.stop()


def whole(frame: DepthFrame, camera: PinholeCamera = KIOSK_CAMERA) -> DepthFrame:
    """A frame that was cut around a head, back in the camera's whole image before a wall."""
    left, top = round(camera.cx - frame.camera.cx), round(camera.cy - frame.camera.cy)
    inside = np.s_[top : top + frame.camera.height, left : left + frame.camera.width]
    depth = np.full((camera.height, camera.width), 1400.0)
    pixels = np.full((camera.height, camera.width, 3), 128, np.uint8)
    depth[inside] = frame.depth
    if frame.image is not None:
        pixels[inside] = frame.image.pixels
    return DepthFrame(depth, camera, frame.camera_name, Image(pixels))


def visits(kiosk: Kiosk, camera: Alive, count: int) -> list[VisitResult]:
    """Results of visits one after the other; the first two warm up and do not count."""
    found = []
    for _ in range(count + WARM):
        with CameraSession(camera) as session:
            found.append(kiosk.visit("person-0", session.frames()))
    return found[WARM:]


def service_seconds() -> float:
    """Processor time of the service and its processes so far."""
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


def table(results: list[VisitResult]) -> str:
    names = list(dict.fromkeys(name for result in results for name in result.milliseconds))
    rows = []
    for name in names:
        taken = [r.milliseconds[name] for r in results if name in r.milliseconds]
        p50, p95 = np.percentile(taken, [50, 95])
        rows.append(f"| {name} | {p50:.0f} | {p95:.0f} |")
    return "\n".join(["| ms | p50 | p95 |", "|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=40)
    parser.add_argument("--sensor", choices=SENSORS, default="structured-light")
    parser.add_argument("--without-picture", action="store_true")
    parser.add_argument("--patience", type=int, default=VisitLimits().patience)
    parser.add_argument("--seed", type=int, default=5)
    asked = parser.parse_args()
    subject = SyntheticPopulation(PopulationSpec(seed=asked.seed, subjects=1)).subject(0)
    frames = [whole(f) for f in subject.visit(SENSORS[asked.sensor], 0, FRAMES, images=True)]
    selfies = [jpeg(image) for image in subject.selfies(5)]
    with tempfile.TemporaryDirectory() as folder, running_service() as service:
        with Recorder(Path(folder) / "visit", in_the_clear=True) as recorder:
            for number, frame in enumerate(frames):
                recorder.add(as_camera_frame(frame, number))
        with Client(service) as client:
            operation = client.enroll("person-0", selfies)
            assert operation["state"] == "succeeded", operation
        camera = Alive(
            FileCamera(Path(folder) / "visit", paced=True, loop=True), picture=not asked.without_picture
        )
        limits = VisitLimits(patience=asked.patience)
        with Service(service.url, service.api_key) as way:
            kiosk = Kiosk(on_this_device(), way, limits=limits)
            begun, busy, ours = time.perf_counter(), service_seconds(), time.process_time()
            results = visits(kiosk, camera, asked.visits)
            took = time.perf_counter() - begun
            busy, ours = service_seconds() - busy, time.process_time() - ours
    decisions = {d: sum(r.decision == d for r in results) for d in sorted({r.decision for r in results})}
    load = os.getloadavg()[0]
    print(f"{len(results)} visits, {asked.sensor}, {os.cpu_count()} cores, load {load:.1f}, {took:.0f} s")
    print(f"decisions {decisions}; captures {sum(r.captures for r in results)}")
    print(f"bytes of a verification: largest {max(r.bytes_sent for r in results):,}")
    each = 1000 / (len(results) + WARM)
    print(f"processor time of a visit: kiosk {each * ours:.0f} ms, service {each * busy:.0f} ms")
    print(table(results))


if __name__ == "__main__":
    main()

"""Every kind of camera that shows given frames: software devices, recordings, folders, the simulated one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.kiosk.cameras.camera import DepthCamera
from recon_service.kiosk.cameras.files import FileCamera
from recon_service.kiosk.cameras.orbbec import OrbbecCamera
from recon_service.kiosk.cameras.realsense import RealSenseCamera
from recon_service.kiosk.cameras.recorder import Recorder
from recon_service.kiosk.cameras.simulated import SimulatedCamera, as_camera_frame
from tests.kiosk_devices import OrbbecStructures, SoftwareRealSense, write_db3, write_ply

CAMERA = PinholeCamera(
    width=320,
    height=240,
    fx=300.0,
    fy=301.0,
    cx=158.5,
    cy=121.0,
    distortion=(0.02, -0.01, 0.001, 0.0005, 0.0),
)
COUNT = 6
KEY = bytes(range(32))

Made = AbstractContextManager[DepthCamera]


@dataclass(frozen=True)
class Case:
    """One kind of camera. make: shows the frames. absent: a camera that is not there. live: it does not
    end. tolerance_mm: of depth; PLY keeps points, not pixels. spare: frames that a recorder may have kept
    beyond those.
    """

    make: Callable[[list[DepthFrame], Path], Made]
    absent: Callable[[Path], DepthCamera] | None
    live: bool = False
    tolerance_mm: float = 0.051
    needs: str = ""
    spare: int = 0
    lossy: bool = False


@contextlib.contextmanager
def realsense(frames: list[DepthFrame], folder: Path) -> Iterator[DepthCamera]:
    made = SoftwareRealSense(frames)
    with made.running():
        yield RealSenseCamera(device=made.device, camera_name="generic")


@contextlib.contextmanager
def realsense_db3(frames: list[DepthFrame], folder: Path) -> Iterator[DepthCamera]:
    write_db3(folder / "recorded.db3", frames)
    yield RealSenseCamera(recording=folder / "recorded.db3", camera_name="generic")


@contextlib.contextmanager
def orbbec(frames: list[DepthFrame], folder: Path) -> Iterator[DepthCamera]:
    yield OrbbecCamera(source=OrbbecStructures(frames), camera_name="generic")


@contextlib.contextmanager
def orbbec_jpeg(frames: list[DepthFrame], folder: Path) -> Iterator[DepthCamera]:
    yield OrbbecCamera(source=OrbbecStructures(frames, jpeg=True), camera_name="generic")


@contextlib.contextmanager
def folder_of(frames: list[DepthFrame], folder: Path, key: bytes | None = None) -> Iterator[DepthCamera]:
    with Recorder(folder / "kept", key=key, in_the_clear=key is None) as recorder:
        for number, frame in enumerate(frames):
            recorder.add(as_camera_frame(frame, number))
    yield FileCamera(folder / "kept", key=key)


def sealed_folder(frames: list[DepthFrame], folder: Path) -> Made:
    return folder_of(frames, folder, KEY)


@contextlib.contextmanager
def folder_of_ply(frames: list[DepthFrame], folder: Path) -> Iterator[DepthCamera]:
    with folder_of(frames, folder):
        about = json.loads((folder / "kept" / "capture.json").read_text())
        about["ply"] = {"unit": "m", "axes": "opengl"}
        for number, frame in enumerate(frames):
            name = f"{number}.ply"
            binary = number > 0
            write_ply(folder / "kept" / name, frame, binary=binary, meters=True, opengl=True)
            about["frames"][number]["depth"] = name
        (folder / "kept" / "capture.json").write_text(json.dumps(about))
    yield FileCamera(folder / "kept")


class FrameList:
    """A scene of frames that were made before, again and again."""

    def __init__(self, frames: list[DepthFrame]) -> None:
        self._frames = tuple(frames)

    def frame(self, number: int) -> DepthFrame:
        return self._frames[number % len(self._frames)]


@contextlib.contextmanager
def simulated(frames: list[DepthFrame], folder: Path) -> Iterator[DepthCamera]:
    yield SimulatedCamera(FrameList(frames), count=len(frames))


CASES = {
    "realsense-software-device": Case(
        realsense, lambda _: RealSenseCamera(serial="not-there"), live=True, needs="pyrealsense2"
    ),
    "realsense-db3": Case(
        realsense_db3,
        lambda folder: RealSenseCamera(recording=folder / "no.db3"),
        needs="pyrealsense2",
        spare=2,
    ),
    "orbbec-structures": Case(orbbec, lambda _: OrbbecCamera(serial="not-there"), needs="pyorbbecsdk"),
    "orbbec-jpeg": Case(
        orbbec_jpeg, lambda folder: OrbbecCamera(recording=folder / "no.bag"), needs="pyorbbecsdk", lossy=True
    ),
    "folder": Case(folder_of, lambda folder: FileCamera(folder / "nothing")),
    "sealed-folder": Case(sealed_folder, lambda folder: FileCamera(folder / "nothing", key=KEY)),
    "folder-of-ply": Case(folder_of_ply, lambda folder: FileCamera(folder / "nothing"), tolerance_mm=0.01),
    "simulated": Case(simulated, None),
}

"""Recordings: sealed by default, and refused when somebody changed them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.cameras.camera import CameraFrame, CameraSession
from recon_service.kiosk.cameras.files import FileCamera
from recon_service.kiosk.cameras.ply import depth_of_points, read_ply
from recon_service.kiosk.cameras.recorder import Recorder
from recon_service.kiosk.cameras.recording import key_from_text, seal, unseal
from recon_service.kiosk.errors import RecordingKeyMissing, RecordingUnreadable, WrongStream

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
CAMERA = PinholeCamera(width=20, height=12, fx=30, fy=30, cx=9.5, cy=5.5)


def frame(number: int, depth: int = 500) -> CameraFrame:
    picture = np.full((12, 20, 3), number, np.uint8)
    return CameraFrame(
        np.full((12, 20), depth + number, np.uint16), 1.0, CAMERA, 33.0 * number, number, picture
    )


def recorded(folder: Path, key: bytes | None = KEY, count: int = 3, depth: int = 500) -> Path:
    with Recorder(folder, key=key, in_the_clear=key is None) as recorder:
        for number in range(count):
            recorder.add(frame(number, depth))
    return folder


def played(folder: Path, key: bytes | None = KEY) -> list[CameraFrame]:
    with CameraSession(FileCamera(folder, key=key)) as session:
        return list(session.frames())


def test_without_a_key_nothing_is_recorded_unless_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingKeyMissing):
        Recorder(tmp_path / "r")
    assert not (tmp_path / "r").exists()
    assert len(played(recorded(tmp_path / "open", None), None)) == 3


def test_nothing_of_a_sealed_recording_can_be_read(tmp_path: Path) -> None:
    files = sorted(recorded(tmp_path / "r").iterdir())
    assert len(files) == 7
    assert all(path.suffix == ".sealed" for path in files)
    assert not any(sign in path.read_bytes() for path in files for sign in (b"PNG", b"fx", b"recon-capture"))
    for key in (None, OTHER):
        with pytest.raises(RecordingUnreadable):
            played(tmp_path / "r", key)


def swap(folder: Path) -> None:
    one, other = folder / "000000.depth.png.sealed", folder / "000001.depth.png.sealed"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def flip(folder: Path) -> None:
    path = folder / "000001.picture.png.sealed"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def put_open(folder: Path) -> None:
    path = folder / "000002.depth.png.sealed"
    (folder / "000002.depth.png").write_bytes(unseal_file(folder, path.name.removesuffix(".sealed")))
    path.unlink()


def unseal_file(folder: Path, name: str) -> bytes:
    about = json.loads(unseal((folder / "capture.json.sealed").read_bytes(), KEY, "capture.json"))
    sealed = (folder / f"{name}.sealed").read_bytes()
    return unseal(sealed, KEY, name, recording_id=about["recording_id"])


def of_another(folder: Path) -> None:
    other = recorded(folder.parent / "other", depth=900)
    (folder / "000001.depth.png.sealed").write_bytes((other / "000001.depth.png.sealed").read_bytes())


def left_out(folder: Path) -> None:
    (folder / "000001.depth.png.sealed").unlink()


def unfinished(folder: Path) -> None:
    (folder / "capture.json.sealed").unlink()


@pytest.mark.parametrize("change", [swap, flip, put_open, of_another, left_out, unfinished])
def test_a_sealed_recording_that_was_changed_is_refused(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = recorded(tmp_path / "r")
    assert len(played(folder)) == 3
    change(folder)
    with pytest.raises(RecordingUnreadable):
        played(folder)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("frames", 0, "depth"), "../../etc/passwd"),
        (("frames", 0, "depth"), "/etc/passwd"),
        (("frames", 1, "timestamp_ms"), -5.0),
        (("frames",), []),
        (("camera", "fx"), 0),
        (("camera", "distortion"), [0, 0]),
        (("format",), "recon-capture/2"),
        (("ply",), {"unit": "inch"}),
    ],
)
def test_a_description_that_cannot_be_is_refused(tmp_path: Path, where: tuple, value: object) -> None:
    folder = recorded(tmp_path / "r", None)
    about = json.loads((folder / "capture.json").read_text())
    inner = about
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    (folder / "capture.json").write_text(json.dumps(about))
    with pytest.raises(RecordingUnreadable):
        played(folder, None)


def test_a_recording_is_of_one_camera_and_one_folder(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "r")
    with pytest.raises(WrongStream):
        Recorder(folder, key=KEY)
    with Recorder(tmp_path / "s", key=KEY) as recorder:
        recorder.add(frame(0))
        with pytest.raises(WrongStream):
            recorder.add(CameraFrame(np.zeros((12, 20), np.uint16), 0.1, CAMERA, 40.0, 1))


def test_a_loop_goes_on_in_time_and_pacing_keeps_to_it(tmp_path: Path) -> None:
    folder, now, slept = recorded(tmp_path / "r"), [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    camera = FileCamera(folder, key=KEY, paced=True, loop=True, clock=lambda: now[0], sleep=sleep)
    with CameraSession(camera) as session:
        seen = list(session.frames(7))
    assert [f.number for f in seen] == list(range(7))
    np.testing.assert_allclose([f.timestamp_ms for f in seen], 33.0 * np.arange(7))
    np.testing.assert_allclose(now[0], 6 * 0.033)


@settings(max_examples=30)
@given(st.binary(max_size=300), st.text(min_size=1, max_size=20))
def test_what_is_sealed_comes_back_under_its_key_and_name_only(content: bytes, name: str) -> None:
    sealed = seal(content, KEY, name)
    assert unseal(sealed, KEY, name) == content
    for key, called in ((OTHER, name), (KEY, name + "x")):
        with pytest.raises(RecordingUnreadable):
            unseal(sealed, key, called)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 31])
def test_a_key_has_64_digits_and_is_not_repeated_in_the_error(text: str) -> None:
    with pytest.raises(InvalidValue) as fault:
        key_from_text(text)
    assert text == "" or text not in str(fault.value)
    assert key_from_text(" " + "0f" * 32 + "\n") == b"\x0f" * 32


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ply\nend_header\n",
        b"ply\nformat ascii 1.0\nelement face 1\nelement vertex 1\nend_header\n1 2 3\n",
        b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nend_header\n1 2\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 9999999999\nproperty float x\nend_header\n",
    ],
)
def test_a_file_that_is_no_ply_is_refused(content: bytes) -> None:
    with pytest.raises(RecordingUnreadable):
        read_ply(content)


def test_the_nearest_point_of_a_pixel_wins() -> None:
    points = np.array([[0.0, 0, 800], [0.0, 0, 500], [0.0, 0, -100], [1e6, 0, 500]])
    depth = depth_of_points(points, CAMERA)
    assert depth.max() == 500
    assert (depth > 0).sum() == 1

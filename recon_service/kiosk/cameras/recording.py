"""The format of a recorded folder.

``capture.json``::

    {"format": "recon-capture/1", "camera_name": "realsense-d435", "millimetres_per_unit": 0.1,
     "camera": {"width": 640, "height": 480, "fx": 600, "fy": 600, "cx": 319.5, "cy": 239.5,
                "distortion": [0, 0, 0, 0, 0]},
     "frames": [{"number": 0, "timestamp_ms": 0.0, "depth": "000000.depth.png",
                 "picture": "000000.picture.png"}]}

Depth is a 16-bit gray PNG in ``millimetres_per_unit``, or a PLY of points (``"ply": {"unit": "m", "axes":
"opengl"}``; default millimeters in the camera frame). ``picture`` may be missing; color, or gray of 8 or 16
bits for infrared.

In a **sealed** recording every file, the description too, ends in ``.sealed`` and is AES-256-GCM: 8 bytes
of magic, 12 of nonce, ciphertext with tag. Its name is authenticated, and for frames the random
``recording_id`` of the description, so that a file of another recording or under another name is refused.
The description names all files: none can be left out.
"""

from __future__ import annotations

import itertools
import json
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from recon_service.domain.arrays import Array
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.errors import InvalidValue
from recon_service.kiosk.cameras.ply import AXES, UNITS_MM
from recon_service.kiosk.errors import RecordingUnreadable

FORMAT: Final = "recon-capture/1"
DESCRIPTION: Final = "capture.json"
SEALED: Final = ".sealed"
MAGIC: Final = b"RKCAP001"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
MAX_FRAMES: Final = 100_000
FRAME_MS: Final = 1000 / 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame. depth, picture: file names in the folder."""

    number: int
    timestamp_ms: float
    depth: str
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """What a folder says of itself. ply_scale: (3,) factors that bring PLY points to mm in the camera frame.
    recording_id: to which the sealed frames belong.
    """

    camera: PinholeCamera
    camera_name: str
    millimetres_per_unit: float
    entries: tuple[Entry, ...]
    ply_scale: Array
    recording_id: str = ""

    @property
    def duration_ms(self) -> float:
        """From the first frame to where the next round would begin."""
        count = len(self.entries)
        if count == 1:
            return FRAME_MS
        spread = self.entries[-1].timestamp_ms - self.entries[0].timestamp_ms
        return spread * count / (count - 1)


def unreadable(detail: str, *, next_step: str = "Record it anew.") -> RecordingUnreadable:
    """The error, with the usual next step."""
    return RecordingUnreadable(detail, next_step=next_step)


def read_recording(folder: Path, key: bytes | None = None) -> Recording:
    """The description of a folder. Raises RecordingUnreadable."""
    if not folder.is_dir():
        raise unreadable(f"{folder} is no folder", next_step="Name the folder that holds capture.json.")
    if not (folder / DESCRIPTION).exists() and not (folder / f"{DESCRIPTION}{SEALED}").exists():
        raise unreadable(
            f"{folder} has no {DESCRIPTION}: the recording was not finished, or this is no recording"
        )
    try:
        return _parsed(json.loads(opened(folder, DESCRIPTION, key)))
    except (ValueError, KeyError, TypeError, InvalidValue) as fault:
        raise unreadable(f"{DESCRIPTION} in {folder} is not as it should be ({fault})") from None


def opened(folder: Path, name: str, key: bytes | None, *, recording_id: str = "") -> bytes:
    """The content of a file, unsealed where it is sealed. Raises RecordingUnreadable."""
    sealed = folder / f"{name}{SEALED}"
    try:
        if not sealed.exists():
            if (folder / f"{DESCRIPTION}{SEALED}").exists():
                # Somebody put an open file among sealed ones: it is authenticated by nothing.
                raise unreadable(f"{name} is missing in the sealed recording {folder}")
            return (folder / name).read_bytes()
        content = sealed.read_bytes()
    except OSError as fault:
        raise unreadable(f"{name} in {folder} cannot be read: {fault.strerror}") from None
    if key is None:
        raise unreadable(
            f"the recording {folder} is sealed", next_step="Give its key: RECON_KIOSK_RECORDING_KEY_FILE."
        )
    return unseal(content, key, name, recording_id=recording_id)


def seal(content: bytes, key: bytes, name: str, *, recording_id: str = "") -> bytes:
    """AES-256-GCM under a random nonce; name and recording are authenticated."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE_BYTES)
    return MAGIC + nonce + AESGCM(checked_key(key)).encrypt(nonce, content, _bound(name, recording_id))


def unseal(content: bytes, key: bytes, name: str, *, recording_id: str = "") -> bytes:
    """What was sealed. Raises RecordingUnreadable for another key, name, recording or content."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    start = len(MAGIC) + NONCE_BYTES
    if not content.startswith(MAGIC) or len(content) < start:
        raise unreadable(f"{name} is not sealed as it should be")
    nonce = content[len(MAGIC) : start]
    try:
        return AESGCM(checked_key(key)).decrypt(nonce, content[start:], _bound(name, recording_id))
    except InvalidTag:
        raise unreadable(
            f"{name} does not authenticate: it was altered, renamed, or sealed with another key",
            next_step="Use the key with which it was recorded.",
        ) from None


def _bound(name: str, recording_id: str) -> bytes:
    return MAGIC + f"{recording_id}/{name}".encode()


def checked_key(key: bytes) -> bytes:
    """The key, if it has 32 bytes. Raises InvalidValue."""
    if len(key) != KEY_BYTES:
        raise InvalidValue("a recording key has 32 bytes", next_step="Make one with: openssl rand -hex 32")
    return key


def key_from_text(text: str) -> bytes:
    """A key of 64 hexadecimal digits. Raises InvalidValue, which does not repeat it."""
    try:
        return checked_key(bytes.fromhex(text.strip()))
    except ValueError:
        raise InvalidValue(
            "a recording key has 64 hexadecimal digits", next_step="Make one with: openssl rand -hex 32"
        ) from None


def written(folder: Path, name: str, content: bytes, key: bytes | None, *, recording_id: str = "") -> None:
    """Write a file, sealed with the key where there is one, so that it is whole or not there."""
    path = folder / (name if key is None else f"{name}{SEALED}")
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content if key is None else seal(content, key, name, recording_id=recording_id))
    part.replace(path)


def description(recording: Recording) -> bytes:
    """As JSON."""
    camera = recording.camera
    return json.dumps(
        {
            "format": FORMAT,
            "recording_id": recording.recording_id,
            "camera_name": recording.camera_name,
            "millimetres_per_unit": recording.millimetres_per_unit,
            "camera": {
                **{name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")},
                "distortion": list(camera.distortion),
            },
            "frames": [
                {k: v for k, v in zip(Entry.__slots__, _values(entry), strict=True) if v is not None}
                for entry in recording.entries
            ],
        },
        indent=1,
    ).encode()


def _values(entry: Entry) -> tuple[int, float, str, str | None]:
    return entry.number, entry.timestamp_ms, entry.depth, entry.picture


def _parsed(said: Any) -> Recording:
    if said["format"] != FORMAT:
        raise ValueError(f"format {said['format']!r} instead of {FORMAT!r}")
    about = dict(said["camera"])
    distortion = tuple(float(value) for value in about.pop("distortion", [0.0] * 5))
    k1, k2, p1, p2, k3 = distortion
    entries = tuple(_entry(frame) for frame in said["frames"])
    if not 1 <= len(entries) <= MAX_FRAMES:
        raise ValueError(f"{len(entries)} frames")
    for before, after in itertools.pairwise(entries):
        if after.timestamp_ms < before.timestamp_ms or after.number <= before.number:
            raise ValueError("the frames are not in the order of time")
    ply = said.get("ply", {})
    return Recording(
        camera=PinholeCamera(**about, distortion=(k1, k2, p1, p2, k3)),
        camera_name=str(said.get("camera_name", "generic")),
        millimetres_per_unit=float(said.get("millimetres_per_unit", 1.0)),
        entries=entries,
        ply_scale=UNITS_MM[ply.get("unit", "mm")] * AXES[ply.get("axes", "camera")],
        recording_id=str(said.get("recording_id", "")),
    )


def _entry(frame: Any) -> Entry:
    names = [frame["depth"], frame.get("picture")]
    for name in names:
        # A description may come from elsewhere: it must not name files outside its folder.
        if name is not None and (PurePosixPath(name).name != name or name in ("", ".", "..")):
            raise ValueError(f"{name!r} is no name of a file in the folder")
    return Entry(int(frame["number"]), float(frame["timestamp_ms"]), names[0], names[1])

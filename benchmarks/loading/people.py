"""Simulated people with selfies and visits, kept as files for the processes that send them."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np

SEED = 20261121
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def make_people(folder: Path, count: int, *, model: str) -> None:
    """``PERSON/selfie-N.jpg``, ``PERSON/visit.npz`` (frames, (F, H, W) uint16 mm) and ``intrinsics.json``."""
    from recon_service.assembly import ModelChoice, build_pipeline
    from recon_service.demo.simulated import simulated_person, texture_of
    from recon_service.simulation import KIOSK_CAMERA
    from tests.integration.running import portrait_jpeg

    pipeline, rng = build_pipeline(ModelChoice(model)), np.random.default_rng(SEED)
    textures = [texture_of(portrait_jpeg(name), pipeline) for name in ("astronaut", "grace_hopper")]
    for number in range(count):
        person = simulated_person(f"person{number}", textures[number % 2], pipeline, rng)
        place = folder / person.name
        place.mkdir(parents=True)
        for n, selfie in enumerate(person.selfies):
            (place / f"selfie-{n}.jpg").write_bytes(selfie)
        frames = np.stack([np.nan_to_num(f.depth) for f in person.visits[0]])
        np.savez_compressed(place / "visit.npz", frames=np.round(frames).astype(np.uint16))
    names = ("width", "height", "fx", "fy", "cx", "cy")
    (folder / "intrinsics.json").write_text(json.dumps({n: getattr(KIOSK_CAMERA, n) for n in names}))


class FreshFrames:
    """Depth frames as 16-bit PNG files that were never sent before: the service refuses those that were. What
    differs is far away, in a corner.

    Only the first row is compressed anew, so that who sends them takes little time from who is measured.
    """

    def __init__(self, frames: np.ndarray) -> None:
        """frames: (F, H, W) uint16 mm."""
        self._frames = frames
        self._rests = [self._compressed(frame[1:], zlib.Z_FINISH) for frame in frames]

    def take(self, rng: np.random.Generator) -> list[bytes]:
        """One file per frame."""
        corner = rng.integers(9000, 9999, 8)
        return [self._png(n, frame, corner) for n, frame in enumerate(self._frames)]

    def _png(self, number: int, frame: np.ndarray, corner: np.ndarray) -> bytes:
        first = frame[:1].copy()
        first[0, : len(corner)] = corner
        rest, rest_sum = self._rests[number]
        start, start_sum = self._compressed(first, zlib.Z_FULL_FLUSH)
        total = _joined_adler32(start_sum, rest_sum, len(frame) - 1, frame.shape[1])
        content = b"\x78\x01" + start + rest + struct.pack(">I", total)
        height, width = frame.shape
        header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
        return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")

    @staticmethod
    def _compressed(rows: np.ndarray, flush: int) -> tuple[bytes, int]:
        """A raw deflate stream of unfiltered rows, and their Adler-32."""
        plain = np.zeros((len(rows), 1 + 2 * rows.shape[1]), np.uint8)
        plain[:, 1:] = rows.astype(">u2").view(np.uint8)
        packer = zlib.compressobj(1, wbits=-15)
        return packer.compress(plain.tobytes()) + packer.flush(flush), zlib.adler32(plain.tobytes())


def _joined_adler32(first: int, second: int, rows: int, width: int) -> int:
    """Of two parts one after the other; the second has ``rows`` rows of ``width`` pixels (RFC 1950, 8.2)."""
    prime, length = 65521, rows * (1 + 2 * width)
    a = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % prime
    b = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % prime
    return (b << 16) | a


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

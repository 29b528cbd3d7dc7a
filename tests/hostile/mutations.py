"""Damaged and malicious uploads, by seed: every case can be made again from its number."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
from PIL import Image as PillowImage

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@functools.cache
def sound_files() -> dict[str, bytes]:
    """One small file of every kind that the service reads."""
    pixels = np.random.default_rng(5).integers(0, 255, (48, 40, 3), dtype=np.uint8)
    picture = PillowImage.fromarray(np.kron(pixels, np.ones((4, 4, 1), np.uint8)))
    depth = np.full((24, 32), 600, np.uint16)
    npy = {}
    for name, array in (
        ("u2", depth),
        ("f4", depth.astype(np.float32)),
        ("f8-fortran", np.asfortranarray(depth, np.float64)),
    ):
        file = io.BytesIO()
        np.save(file, array)
        npy[f"npy-{name}"] = file.getvalue()
    heif = io.BytesIO()
    pillow_heif.from_pillow(picture).save(heif, quality=40)
    return {
        "jpeg": _saved(picture, "JPEG", exif=looping_exif(follow=False)),
        "jpeg-progressive": _saved(picture, "JPEG", progressive=True),
        "png": _saved(picture, "PNG"),
        "png-palette": _saved(picture.convert("P"), "PNG"),
        "png-depth": _saved(PillowImage.fromarray(depth), "PNG"),
        "webp": _saved(picture, "WEBP"),
        "heic": heif.getvalue(),
        **npy,
    }


def _saved(picture: PillowImage.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def mutated(seed: int) -> tuple[str, bytes]:
    """A sound file, damaged one to four times; its name says what was done."""
    rng = random.Random(seed)
    name = rng.choice(sorted(sound_files()))
    content, done = sound_files()[name], []
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        damage = rng.choice(DAMAGES)
        content = damage(content, rng)
        done.append(damage.__name__)
    return f"{seed} {name}: {', '.join(done)}", content


def flip_bits(content: bytes, rng: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def flip_header(content: bytes, rng: random.Random) -> bytes:
    return flip_bits(content[:128], rng) + content[128:]


def put_extreme(content: bytes, rng: random.Random) -> bytes:
    """A length, an offset or a dimension that cannot be."""
    size, order = rng.choice((1, 2, 4)), rng.choice("<>")
    value = struct.pack(f"{order}I", rng.choice(EXTREMES))
    part = value[-size:] if order == ">" else value[:size]
    place = rng.randrange(max(1, min(len(content), rng.choice((64, 256, len(content) or 1)))))
    return content[:place] + part + content[place + size :]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def remove_middle(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.randint(1, 64) :]


def repeat_middle(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.randint(1, 64)]
    return content[:start] + piece * rng.randint(2, 20) + content[start:]


def splice(content: bytes, rng: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    other = sound_files()[rng.choice(sorted(sound_files()))]
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other)) :]


def insert_noise(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.randbytes(rng.randint(1, 200)) + content[start:]


def mend_png(content: bytes, rng: random.Random) -> bytes:
    """Checksums made right again, so that the damage gets past them."""
    if not content.startswith(b"\x89PNG"):
        return content
    out, place = content[:8], 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        body = content[place + 4 : place + 8 + length]
        if len(body) < 4 or length > len(content):
            break
        out += struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return out + content[place:]


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bits,
    flip_header,
    put_extreme,
    cut,
    remove_middle,
    repeat_middle,
    splice,
    insert_noise,
    mend_png,
)


def png(width: int, height: int, *, bits: int, color: int, body: bytes, extra: bytes = b"") -> bytes:
    """A PNG file whose header says what it likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def bomb(megabytes: int) -> bytes:
    """So many megabytes of zeros, deflated a thousandfold."""
    packer, block = zlib.compressobj(9), bytes(1_000_000)
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


def text_bomb() -> bytes:
    """A PNG with a compressed text and a color profile that unpack to 200 MB each."""
    packed = bomb(200)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    extra = chunk(b"zTXt", b"Comment\0\0" + packed) + chunk(b"iCCP", b"profile\0\0" + packed)
    rows = zlib.compress(b"".join(b"\0" + bytes(600) for _ in range(200)))
    return png(200, 200, bits=8, color=2, body=rows, extra=extra)


def looping_exif(*, follow: bool = True) -> bytes:
    """EXIF whose directory says that the next one, and its sub-directory, is itself. follow False: a sound
    one.
    """
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6)
    if follow:
        entries += struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x8825, 4, 1, 8)
    count = len(entries) // 12
    return (
        b"Exif\0\0II*\0\x08\0\0\0"
        + struct.pack("<H", count)
        + entries
        + struct.pack("<I", 8 if follow else 0)
    )


@functools.cache
def crafted_pictures() -> dict[str, bytes]:
    """Pictures made to hurt."""
    rows = zlib.compress(bytes(1000))
    jpeg = sound_files()["jpeg"]
    return {
        "png of a terapixel": png(1_000_000, 1_000_000, bits=8, color=2, body=rows),
        "png of the largest size": png(0x7FFFFFFF, 0x7FFFFFFF, bits=16, color=6, body=rows),
        "png of no size": png(0, 0, bits=8, color=2, body=rows),
        "png of one row": png(4_000_000, 1, bits=8, color=2, body=rows),
        "png that unpacks to more than it says": png(200, 200, bits=8, color=2, body=bomb(300)),
        "png with bombs beside the picture": text_bomb(),
        "depth png that unpacks to more": png(64, 64, bits=16, color=0, body=bomb(300)),
        "jpeg with exif in a loop": b"\xff\xd8" + _app1(looping_exif()) + jpeg[2:],
        "jpeg with a thousand exif blocks": b"\xff\xd8" + 1000 * _app1(looping_exif()) + jpeg[2:],
        "jpeg of 65535 x 65535": _resized_jpeg(jpeg, 65535),
        "jpeg of no size": _resized_jpeg(jpeg, 0),
        "nothing": b"",
        "one byte": b"\xff",
        "html": b"<script>alert(1)</script>",
        "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    }


def _app1(block: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block


def _resized_jpeg(content: bytes, size: int) -> bytes:
    start = content.index(b"\xff\xc0")
    return content[: start + 5] + struct.pack(">HH", size, size) + content[start + 9 :]


@functools.cache
def crafted_depths() -> dict[str, bytes]:
    """Depth files made to hurt."""
    made = {
        "nan": np.full((24, 32), np.nan, np.float32),
        "infinite": np.full((24, 32), np.inf, np.float64),
        "minus infinite": np.full((24, 32), -np.inf, np.float64),
        "signaling nan": np.full((24, 32), 0x7FA00000, np.uint32).view(np.float32),
        "negative": np.full((24, 32), -600, np.int16),
        "largest": np.full((24, 32), np.finfo(np.float64).max),
        "smallest": np.full((24, 32), 5e-324),
        "zeros": np.zeros((24, 32), np.uint16),
        "other size": np.full((7, 3000), 600, np.uint16),
        "one pixel": np.full((1, 1), 600, np.uint16),
        "three axes": np.zeros((2, 3, 4), np.uint16),
        "no axes": np.array(600, np.uint16),
        "empty": np.zeros((0, 5), np.uint16),
        "complex": np.zeros((24, 32), np.complex128),
        "text": np.full((24, 32), "x"),
        "half checkered": np.indices((24, 32)).sum(0) % 2 * np.float32(1e30),
    }
    out = {}
    for name, array in made.items():
        file = io.BytesIO()
        np.save(file, array)
        out[name] = file.getvalue()
    whole = sound_files()["npy-u2"]
    out["pickled object"] = _npy_header("'|O'", "(1,)") + b"\x80\x04cos\nsystem\n(S'true'\ntR."
    out["a shape beyond memory"] = _npy_header("'<u2'", "(99999999999, 99999999999)") + whole[128:]
    out["a negative shape"] = _npy_header("'<u2'", "(-24, -32)") + whole[128:]
    out["a header without end"] = _npy_header("('<u2'", "(24, 32)") + whole[128:]
    out["a deep header"] = _npy_header("(" * 400 + "0" + ")" * 400, "(24, 32)") + whole[128:]
    out["a header that calls"] = _npy_header("__import__('os').system('true')", "(24, 32)") + whole[128:]
    return out


def _npy_header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text

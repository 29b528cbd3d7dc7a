"""Whatever a caller sends, it is read or refused: no other exception, no hang, bounded memory.

FUZZ_CASES and FUZZ_SEED in the environment ask for more (`make fuzz`).
"""

from __future__ import annotations

import itertools
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from recon_service.application.computing.visit_decoding import decode_aligned_image, decode_depth
from recon_service.domain.camera import PinholeCamera
from recon_service.domain.depth_frame import DepthFrame
from recon_service.domain.errors import CallerError, ReconError
from recon_service.domain.images import Image
from recon_service.imaging import ImageLimits, decode_image
from tests.hostile.mutations import crafted_depths, crafted_pictures, mutated, sound_files

CASES = int(os.environ.get("FUZZ_CASES", "12000"))
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
LIMIT_S = 20
MEMORY_MB = 700
"""Beyond what the process had before; the largest picture that is allowed takes a third of it."""
LIMITS = ImageLimits()


class Hung(BaseException):
    """Not to be caught by what is tested."""


@contextmanager
def watched(what: str) -> Iterator[None]:
    def alarm(*_: object) -> None:
        raise Hung(what)

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def survive(what: str, read: Callable[[], object]) -> bool:
    """Whether it was read; refused is fine, anything else is not."""
    refused: CallerError | None = None
    try:
        with watched(what):
            read()
    except CallerError as answer:
        refused = answer
    except (Exception, Hung) as fault:
        raise AssertionError(f"{what}: {type(fault).__name__}: {fault}") from fault
    assert refused is None or (refused.code in KNOWN_CODES and len(refused.detail) < 300), what
    return refused is None


def _codes(kind: type[ReconError]) -> set[str]:
    return {kind.code}.union(*(_codes(k) for k in kind.__subclasses__()))


KNOWN_CODES = _codes(CallerError)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    before = peak_mb()
    yield
    assert peak_mb() - before < MEMORY_MB


SCALED = (1.0, 1e4)
"""Millimeters per unit; the largest that is allowed too."""


def readers(content: bytes) -> dict[str, Callable[[], object]]:
    return {
        "selfie": lambda: _checked(decode_image(content, limits=LIMITS)),
        "aligned": lambda: _checked(decode_aligned_image(content, limits=LIMITS)),
        **{
            f"depth x {scale:g}": lambda scale=scale: DepthFrame.from_array(
                decode_depth(content), camera=CAMERA, millimetres_per_unit=scale
            )
            for scale in SCALED
        },
    }


def _checked(image: Image) -> None:
    assert image.pixels.dtype == np.uint8
    assert image.pixels.ndim == 3


CAMERA = PinholeCamera(32, 24, 30.0, 30.0, 15.5, 11.5)


def test_sound_files_are_read() -> None:
    for name, content in sound_files().items():
        read = {door for door, way in readers(content).items() if survive(name, way)}
        assert read, name


def test_mutated_files() -> None:
    begun, outcomes = time.monotonic(), {True: 0, False: 0}
    for seed in range(SEED, SEED + CASES):
        name, content = mutated(seed)
        doors = readers(content)
        for door in ("depth x 1", "aligned") if "depth" in name or "npy" in name else ("selfie",):
            outcomes[survive(f"{door} {name}", doors[door])] += 1
        if "FUZZ_CASES" not in os.environ and time.monotonic() - begun > 10:
            break  # a slow machine does fewer; the seeds say which
    print(f"{sum(outcomes.values())} cases: {outcomes[True]} read, {outcomes[False]} refused")
    assert outcomes[False]
    assert outcomes[True]


@pytest.mark.parametrize("name", crafted_pictures())
def test_crafted_pictures(name: str) -> None:
    for door, read in readers(crafted_pictures()[name]).items():
        survive(f"{door} {name}", read)


@pytest.mark.parametrize("name", crafted_depths())
def test_crafted_depth_files(name: str) -> None:
    for door, read in readers(crafted_depths()[name]).items():
        survive(f"{door} {name}", read)


ABSURD = (0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf"), 0.5)


def test_absurd_cameras_and_scales() -> None:
    depth = np.full((24, 32), 600, np.uint16)
    survived = 0
    for fx, cx, k1, scale in itertools.product(ABSURD, (15.5, *ABSURD), (0.0, *ABSURD), (1.0, *ABSURD)):

        def read(fx: float = fx, cx: float = cx, k1: float = k1, scale: float = scale) -> None:
            camera = PinholeCamera(32, 24, fx, fx, cx, cx, distortion=(k1, 0.0, 0.0, 0.0, 0.0))
            DepthFrame.from_array(depth, camera=camera, millimetres_per_unit=scale)

        survived += survive(f"fx {fx} cx {cx} k1 {k1} scale {scale}", read)
    assert survived < 40
